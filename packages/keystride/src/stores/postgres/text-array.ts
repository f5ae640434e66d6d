/**
 * An array of texts as PostgreSQL writes it: `{a,NULL,"b c"}`. It goes on to a statement as it is; a text is made of an
 * element where somebody looks at it alone.
 */
export class TextArray {
  readonly #array: string;
  readonly #length: number;
  /** Where each element begins, and where one behind the last would: a comma, or the brace, stands before it. */
  #begins: Int32Array | undefined;

  /** @param array of one dimension, whose first element is number 1: nothing stands before the brace. */
  constructor(array: string, length: number) {
    this.#array = array;
    this.#length = length;
  }

  /** The value of element `index`; null for NULL. */
  at(index: number): string | null {
    const written = this.between(index, index + 1);
    if (written === 'NULL') return null;
    if (!written.startsWith('"')) return written;
    const text = written.slice(1, -1);
    return text.includes('\\') ? text.replaceAll(/\\(.)/gsu, '$1') : text;
  }

  /** Elements from one to before another, as they stand between the braces of an array. */
  between(from: number, to: number): string {
    if (from === to) return '';
    if (from === 0 && to === this.#length) return this.#array.slice(1, -1);
    this.#begins ??= beginsOf(this.#array, this.#length);
    return this.#array.slice(this.#begins[from], (this.#begins[to] ?? 0) - 1);
  }
}

const quote = 0x22;
const backslash = 0x5c;

function beginsOf(array: string, length: number): Int32Array {
  const begins = new Int32Array(length + 1);
  let at = 1;
  for (let index = 0; index < length; index++) {
    begins[index] = at;
    if (array.charCodeAt(at) === quote) at = behindQuoted(array, at);
    else {
      const comma = array.indexOf(',', at);
      at = comma < 0 ? array.length - 1 : comma;
    }
    at++;
  }
  begins[length] = at;
  return begins;
}

/** Behind the element in quotes that begins here. */
function behindQuoted(array: string, begin: number): number {
  let at = begin + 1;
  for (let code = array.charCodeAt(at); code !== quote; code = array.charCodeAt(at))
    at += code === backslash ? 2 : 1;
  return at + 1;
}
