/**
 * Those who want something of the disk at the same time get it in one go: one wait for the disk instead of one for each.
 * Everybody still gets an answer of their own, and what fails for all is tried for each alone.
 */

/** How many share one go. */
const GROUP_MAX = 100;

export interface TogetherOptions<Item, Answer> {
  /** Runs the work after what was handed in before. */
  exclusive: (work: () => Promise<void>) => Promise<void>;
  /** Does it for all or for none; one answer for each, in their order. */
  work: (items: Item[]) => Promise<Answer[]>;
}

interface Waiting<Item, Answer> {
  item: Item;
  answer: PromiseWithResolvers<Answer>;
}

export class Together<Item, Answer> {
  readonly #options: TogetherOptions<Item, Answer>;
  #waiting: Waiting<Item, Answer>[] = [];

  constructor(options: TogetherOptions<Item, Answer>) {
    this.#options = options;
  }

  add(item: Item): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.push({ item, answer });
    if (this.#waiting.length === 1) this.#schedule();
    return answer.promise;
  }

  #schedule(): void {
    void this.#options.exclusive(async () => {
      const group = this.#waiting.splice(0, GROUP_MAX);
      if (this.#waiting.length > 0) this.#schedule();
      await this.#settle(group);
    });
  }

  async #settle(group: Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#options.work(group.map(({ item }) => item));
      group.forEach(({ answer }, at) => answer.resolve(answers[at]!));
    } catch (error) {
      if (group.length === 1) group[0]!.answer.reject(error);
      else for (const one of group) await this.#settle([one]);
    }
  }
}
