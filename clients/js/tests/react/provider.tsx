import { act, renderHook, type RenderHookResult } from "@testing-library/react";
import { StrictMode, type ReactNode } from "react";
import { PortwardProvider, type PortwardSource } from "../../src/react/index.js";

/** A wrapper with a client, in StrictMode where asked. */
export function within(client: PortwardSource, strict = false) {
  return function Wrapper({ children }: { readonly children: ReactNode }): ReactNode {
    const provided = <PortwardProvider client={client}>{children}</PortwardProvider>;
    return strict ? <StrictMode>{provided}</StrictMode> : provided;
  };
}

/** Renders a hook with a client. */
export function hook<R, P>(
  client: PortwardSource,
  run: (props: P) => R,
  props: NoInfer<P>,
  strict = false,
): RenderHookResult<R, P> {
  return renderHook(run, { wrapper: within(client, strict), initialProps: props });
}

/** Lets microtasks run, and React render what they changed. */
export async function settled(): Promise<void> {
  await act(async () => {
    await Promise.resolve();
    await Promise.resolve();
  });
}
