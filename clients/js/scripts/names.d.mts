export declare function sources(): string[];
export declare function shortened(): {
  readonly mangleProps: RegExp;
  readonly mangleCache: Readonly<Record<string, string>>;
};
