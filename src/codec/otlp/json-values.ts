/** JSON text of what OTLP carries: maps without doubled keys, doubles that stay doubles, bytes as base64. */

/** A double; what JSON has no number for is text. */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** Puts a map together, member by member; of a key that comes twice the last counts, as JSON readers have it. */
export class MapText {
  private readonly keys: string[] = [];
  private readonly texts: string[] = [];
  private places: Map<string, number> | undefined;

  set(key: string, text: string): void {
    const place = this.placeOf(key);
    if (place !== undefined) {
      this.texts[place] = text;
      return;
    }
    this.places?.set(key, this.keys.length);
    this.keys.push(key);
    this.texts.push(text);
  }

  /** Few keys are looked through, many are looked up. */
  private placeOf(key: string): number | undefined {
    if (this.places !== undefined) return this.places.get(key);
    if (this.keys.length === FEW_KEYS) {
      this.places = new Map(this.keys.map((known, index) => [known, index]));
      return this.places.get(key);
    }
    const place = this.keys.indexOf(key);
    return place === -1 ? undefined : place;
  }

  toString(): string {
    let text = '{';
    for (const [index, key] of this.keys.entries()) {
      text += `${index === 0 ? '' : ','}${JSON.stringify(key)}:${this.texts[index] as string}`;
    }
    return `${text}}`;
  }
}

const FEW_KEYS = 16;
