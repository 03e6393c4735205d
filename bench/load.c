/*
 * The load client: plays one conversation on each of many WebSocket connections, then counts what it is
 * sent. One thread, one epoll set, one read a wake-up, so that it takes little of the machine it shares
 * with the server under measurement.
 *
 * load PORT PLAN ADDRESSES
 *
 * PLAN is a file of records ended by 0x1e, one a connection, of fields ended by 0x1f: the request head;
 * the message for `talk`; then by turns a text to wait for and a message to send. Connections come from
 * 127.0.0.1 and the ADDRESSES - 1 addresses after it. A publication is told by the word ~mark~ in it.
 *
 * Commands, one a line, each answered by one line:
 *   open COUNT RATE      open COUNT more, RATE a second (0: as fast as they are answered) -> open N
 *   talk COUNT RATE      send COUNT messages, connection after connection               -> talked N
 *   count TOTAL SECONDS  wait for TOTAL marks since the last count, and a little for surplus
 *                        -> counted TOTAL LEAST MOST OTHER (LEAST and MOST of one connection)
 *   close                close every connection                                          -> closed
 * Anything unexpected ends the program with a line "failed WHY".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HELD = 1 << 16, IN_FLIGHT = 64, EVENTS = 512, PATIENCE = 60, MOST_FIELDS = 512 };
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

struct connection {
    char **fields;    /* of its record: head, talk, wait, send, wait, ... and NULL */
    size_t step;      /* the field waited for; 0: the answer to the handshake */
    char *held;       /* the beginning of a frame whose end has not arrived */
    size_t held_size;
    long marks;
    int socket;
    int ready;
};

static struct connection *connections;
static size_t planned, opened, ready, speaker;
static long others;
static int epoll, port, addresses;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("failed ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    exit(1);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void read_plan(const char *path) {
    struct stat about;
    FILE *file = fopen(path, "r");
    if (!file || fstat(fileno(file), &about))
        fail("the plan cannot be read");
    size_t size = (size_t)about.st_size, capacity = 0;
    char *text = malloc(size + 1), *at = text;
    if (!text || fread(text, 1, size, file) != size)
        fail("the plan cannot be read");
    fclose(file);
    while (at < text + size) {
        char *fields[MOST_FIELDS], *end;
        size_t count = 0;
        while (*at != 0x1e) {
            if (count + 1 == MOST_FIELDS || !(end = memchr(at, 0x1f, (size_t)(text + size - at))))
                fail("the plan is damaged");
            *end = 0;
            fields[count++] = at;
            at = end + 1;
        }
        fields[count++] = NULL;
        at++;
        if (planned == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            connections = realloc(connections, capacity * sizeof *connections);
        }
        struct connection *one = &connections[planned++];
        memset(one, 0, sizeof *one);
        one->fields = malloc(count * sizeof *fields);
        memcpy(one->fields, fields, count * sizeof *fields);
    }
}

static void write_all(struct connection *one, const char *bytes, size_t size) {
    if (send(one->socket, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        fail("connection %zu takes no more: %s", (size_t)(one - connections), strerror(errno));
}

/* Client frames are masked (RFC 6455 section 5.3). */
static void write_frame(struct connection *one, int opcode, const char *payload, size_t size) {
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    static char frame[HELD];
    size_t header = size < 126 ? 6 : 8;
    if (size + header > sizeof frame)
        fail("a message of the plan is too long");
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (size < 126 ? size : 126));
    frame[2] = (char)(size >> 8);
    frame[3] = (char)size;
    memcpy(frame + header - 4, mask, 4);
    for (size_t i = 0; i < size; i++)
        frame[header + i] = (char)(payload[i] ^ mask[i % 4]);
    write_all(one, frame, header + size);
}

/* Goes on with the conversation: sends what may be sent now, up to the next text to wait for. */
static void advance(struct connection *one) {
    for (;;) {
        char *sent = one->fields[one->step + 1];
        if (!sent) {
            one->ready = 1;
            ready++;
            return;
        }
        one->step += 2;
        write_frame(one, 1, sent, strlen(sent));
        if (!one->fields[one->step]) {
            one->ready = 1;
            ready++;
            return;
        }
        if (*one->fields[one->step])
            return;
    }
}

static void take_data(struct connection *one, const char *payload, size_t size) {
    static const char mark[] = "~mark~";
    const char *at = payload, *end = payload + size;
    int found = 0;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1))) {
        found++;
        at += sizeof mark - 1;
    }
    one->marks += found;
    if (found)
        return;
    others++;
    if (!one->ready) {
        const char *awaited = one->fields[one->step];
        if (memmem(payload, size, awaited, strlen(awaited)))
            advance(one);
        else if (memmem(payload, size, "\"error\"", 7))
            fail("connection %zu was told: %.*s", (size_t)(one - connections), (int)size, payload);
    }
}

static void take_frame(struct connection *one, int opcode, const char *payload, size_t size) {
    if (opcode <= 2)
        take_data(one, payload, size);
    else if (opcode == 9)
        write_frame(one, 10, payload, size);
    else if (opcode == 8)
        fail("connection %zu was closed: %d %.*s", (size_t)(one - connections),
             size < 2 ? 1005 : ((unsigned char)payload[0] << 8 | (unsigned char)payload[1]),
             size < 2 ? 0 : (int)size - 2, payload + 2);
}

/* Takes one frame from the front; 0: it is not complete. */
static size_t take_one(struct connection *one, const char *bytes, size_t size) {
    const unsigned char *b = (const unsigned char *)bytes;
    if (size < 2)
        return 0;
    size_t length = b[1] & 0x7f, header = 2;
    if (length == 126) {
        header = 4;
        if (size < header)
            return 0;
        length = (size_t)b[2] << 8 | b[3];
    } else if (length == 127) {
        header = 10;
        if (size < header)
            return 0;
        length = (size_t)b[6] << 24 | (size_t)b[7] << 16 | (size_t)b[8] << 8 | b[9];
    }
    if (b[1] & 0x80)
        fail("a server must not mask");
    if (size < header + length)
        return 0;
    take_frame(one, b[0] & 0x0f, bytes + header, length);
    return header + length;
}

/* The answer to the handshake: 101 with the accept key of RFC 6455 section 1.3. 0: not complete. */
static size_t take_answer(struct connection *one, const char *bytes, size_t size) {
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - bytes) + 4;
    if (strncmp(bytes, "HTTP/1.1 101", 12) || !memmem(bytes, head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
        fail("connection %zu was refused: %.*s", (size_t)(one - connections), (int)(head > 60 ? 60 : head), bytes);
    if (!one->fields[2]) {
        one->ready = 1;
        ready++;
    } else {
        one->step = 2;
        if (!*one->fields[2])
            advance(one);
    }
    return head;
}

static void arrived(struct connection *one) {
    static char buffer[2 * HELD];
    size_t size = one->held_size, done = 0, taken;
    memcpy(buffer, one->held, size);
    ssize_t got = recv(one->socket, buffer + size, sizeof buffer - size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        fail("connection %zu was cut", (size_t)(one - connections));
    size += (size_t)got;
    while (done < size) {
        if (one->step || one->ready)
            taken = take_one(one, buffer + done, size - done);
        else
            taken = take_answer(one, buffer + done, size - done);
        if (!taken)
            break;
        done += taken;
    }
    if (size - done > HELD)
        fail("a frame is too long");
    if (size - done) {
        one->held = realloc(one->held, size - done);
        memcpy(one->held, buffer + done, size - done);
    } else if (one->held) {
        free(one->held);
        one->held = NULL;
    }
    one->held_size = size - done;
}

static void open_one(struct connection *one) {
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)((size_t)(one - connections) % (size_t)addresses));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (one->socket < 0)
        fail("no more sockets: %s", strerror(errno));
    setsockopt(one->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(one->socket, (struct sockaddr *)&from, sizeof from) ||
        connect(one->socket, (struct sockaddr *)&to, sizeof to))
        fail("connection %zu cannot be made: %s", (size_t)(one - connections), strerror(errno));
    fcntl(one->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    epoll_ctl(epoll, EPOLL_CTL_ADD, one->socket, &event);
    write_all(one, one->fields[0], strlen(one->fields[0]));
}

/* Reads what has arrived, waiting at most so many seconds for it. Whether the input had a command. */
static int pump(double seconds) {
    static struct epoll_event events[EVENTS];
    int command = 0;
    int waited = seconds <= 0 ? 0 : seconds >= 1 ? 1000 : (int)(seconds * 1000) + 1;
    int count = epoll_wait(epoll, events, EVENTS, waited);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            arrived(events[i].data.ptr);
        else
            command = 1;
    }
    return command;
}

/* Calls step(i) for i under count at the given pace, while step has something to do now. */
static void paced(size_t count, double rate, int (*step)(void)) {
    double start = now();
    size_t done = 0;
    while (done < count) {
        double due = rate > 0 ? start + (double)done / rate : 0, wait = due - now();
        if (wait <= 0 && step()) {
            done++;
            if (done % 16)
                continue;
            wait = 0;
        } else if (wait <= 0) {
            wait = 0.001;
        }
        pump(wait);
        if (now() - start > (rate > 0 ? (double)count / rate : 0) + PATIENCE)
            fail("only %zu of %zu were done in time", done, count);
    }
}

static int open_next(void) {
    if (opened - ready >= IN_FLIGHT)
        return 0;
    open_one(&connections[opened++]);
    return 1;
}

static int talk_next(void) {
    struct connection *one = &connections[speaker++ % opened];
    write_frame(one, 1, one->fields[1], strlen(one->fields[1]));
    return 1;
}

static void run_open(size_t count, double rate) {
    if (opened + count > planned)
        fail("the plan has only %zu connections", planned);
    paced(count, rate, open_next);
    for (double end = now() + PATIENCE; ready < opened; pump(0.01))
        if (now() > end)
            fail("only %zu of %zu connections came to be ready", ready, opened);
    printf("open %zu\n", ready);
}

static long total_marks(void) {
    long total = 0;
    for (size_t i = 0; i < opened; i++)
        total += connections[i].marks;
    return total;
}

static void run_count(long total, double seconds) {
    long least = 0, most = 0;
    for (double end = now() + seconds; total_marks() < total && now() < end;)
        pump(0.02);
    for (double end = now() + 0.1; now() < end;)
        pump(0.02);
    long seen = total_marks();
    for (size_t i = 0; i < opened; i++) {
        long marks = connections[i].marks;
        least = !i || marks < least ? marks : least;
        most = marks > most ? marks : most;
        connections[i].marks = 0;
    }
    printf("counted %ld %ld %ld %ld\n", seen, least, most, others);
    others = 0;
}

static void run_close(void) {
    for (size_t i = 0; i < opened; i++) {
        close(connections[i].socket);
        free(connections[i].held);
        connections[i].held = NULL;
    }
    planned = opened = ready = 0;
    puts("closed");
}

int main(int count, char **arguments) {
    char line[128];
    if (count != 4)
        fail("usage: load PORT PLAN ADDRESSES");
    port = atoi(arguments[1]);
    addresses = atoi(arguments[3]);
    read_plan(arguments[2]);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (addresses < 1 || epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event))
        fail("usage: load PORT PLAN ADDRESSES");
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("planned %zu\n", planned);
    for (;;) {
        long amount = 0;
        double figure = 0;
        fflush(stdout);
        while (!pump(1))
            ;
        if (!fgets(line, sizeof line, stdin))
            return 0;
        sscanf(line, "%*s %ld %lf", &amount, &figure);
        if (!strncmp(line, "open ", 5))
            run_open((size_t)amount, figure);
        else if (!strncmp(line, "talk ", 5)) {
            paced((size_t)amount, figure, talk_next);
            printf("talked %ld\n", amount);
        } else if (!strncmp(line, "count ", 6))
            run_count(amount, figure);
        else if (!strncmp(line, "close", 5))
            run_close();
        else
            fail("no such command: %s", line);
    }
}
