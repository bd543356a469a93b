/** A store of its own for each test, in memory. */
import { openStore, type Store } from "../../../lib/store/store.ts";

export async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore(":memory:");
  try {
    await work(store);
  } finally {
    store.close();
  }
}
