/** A value as it is after a journey through Temporal or the ledger, which keep JSON: a date has become a text. */
export type JsonOf<Value> = unknown extends Value
  ? Value
  : Value extends string | number | boolean | null | undefined
    ? Value
    : Value extends { toJSON(): infer Json }
      ? Json
      : Value extends object
        ? { [Key in keyof Value]: JsonOf<Value[Key]> }
        : never;
