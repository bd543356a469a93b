/** Sets this process's wall clock by so much until it is disposed of; timers and `performance.now()` go on as they did. */
export function setClock(byMs: number): Disposable {
  const real = Date.now;
  Date.now = () => real() + byMs;
  return { [Symbol.dispose]: () => void (Date.now = real) };
}
