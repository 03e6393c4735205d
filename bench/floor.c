/*
 * The floor: what the kernel alone asks for a fan-out. It answers the WebSocket handshake of the load
 * client (always the key of RFC 6455 section 1.3, so the answer is known) and on the line
 * "publish COUNT RATE SIZE" sends COUNT text frames to every socket, RATE a second (0: no pause).
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 20000, LONGEST = 65535 };
static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static int subscribers[MOST], count;

static void welcome(int listener) {
    char head[8192];
    size_t used = 0;
    int on = 1, socket = accept(listener, NULL, NULL);
    if (socket < 0 || count == MOST)
        exit(1);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (;;) {
        ssize_t got = recv(socket, head + used, sizeof head - 1 - used, 0);
        if (got <= 0) {
            close(socket);
            return;
        }
        used += (size_t)got;
        head[used] = 0;
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    if (send(socket, answer, sizeof answer - 1, 0) > 0)
        subscribers[count++] = socket;
}

static void publish(long messages, double rate, size_t size) {
    static char frame[4 + LONGEST];
    struct timespec at;
    size_t header = size < 126 ? 2 : 4;
    if (size > LONGEST)
        exit(1);
    frame[0] = (char)0x81;
    frame[1] = (char)(size < 126 ? size : 126);
    frame[2] = (char)(size >> 8);
    frame[3] = (char)size;
    memset(frame + header, 'x', size);
    memcpy(frame + header, "~mark~", 6);
    clock_gettime(CLOCK_MONOTONIC, &at);
    for (long message = 0; message < messages; message++) {
        for (int i = 0; i < count; i++)
            if (send(subscribers[i], frame, header + size, MSG_NOSIGNAL) != (ssize_t)(header + size))
                exit(1);
        if (rate > 0) {
            int64_t next = at.tv_nsec + (int64_t)(1e9 / rate);
            at.tv_sec += next / 1000000000;
            at.tv_nsec = next % 1000000000;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        }
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        return 1;
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd watched[2] = {{listener, POLLIN, 0}, {0, POLLIN, 0}};
        char line[64];
        long messages, size;
        double rate;
        poll(watched, 2, -1);
        if (watched[0].revents)
            welcome(listener);
        if (!watched[1].revents)
            continue;
        if (!fgets(line, sizeof line, stdin) || sscanf(line, "publish %ld %lf %ld", &messages, &rate, &size) != 3)
            return 0;
        publish(messages, rate, (size_t)size);
        puts("done");
        fflush(stdout);
    }
}
