/** Links that are followed and where they lead: when a target comes back under its name, its links are what has to be looked at. */
export class Links {
  private readonly targets = new Map<string, string>();
  private readonly byTarget = new Map<string, Set<string>>();

  /** The path leads to a file at `target`; to itself if it is no link. */
  follow(link: string, target: string): void {
    if (link === target) this.delete(link);
    else this.set(link, target);
  }

  private set(link: string, target: string): void {
    if (this.targets.get(link) === target) return;
    this.delete(link);
    this.targets.set(link, target);
    const links = this.byTarget.get(target);
    if (links === undefined) this.byTarget.set(target, new Set([link]));
    else links.add(link);
  }

  delete(link: string): void {
    const target = this.targets.get(link);
    if (target === undefined) return;
    this.targets.delete(link);
    const links = this.byTarget.get(target);
    links?.delete(link);
    if (links?.size === 0) this.byTarget.delete(target);
  }

  /** The links that lead, or led last, to a path. */
  to(target: string): readonly string[] {
    return [...(this.byTarget.get(target) ?? [])];
  }
}
