/** Bytes of a bundle. */
export interface Size {
  readonly minified: number;
  readonly gzip: number;
}
export declare const root: string;
export declare const OWN: readonly (readonly [name: string, contents: string, limit: number])[];
export declare const HOOKS: readonly [name: string, contents: string, limit: number];
export declare const PEERS: readonly (readonly [name: string, contents: string])[];
export declare function measure(
  contents: string,
  folder?: string,
  options?: Record<string, unknown>,
): Promise<Size>;
export declare function measureOwn(
  contents: string,
  options?: Record<string, unknown>,
): Promise<Size>;
export declare function measureHooks(): Promise<Size>;
