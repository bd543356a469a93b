/** The keys of the project page, and what each does. */

const KEYS: readonly (readonly [keys: string[], does: string])[] = [
  [["Ctrl", "K"], "Command menu"],
  [["n"], "New task"],
  [["Ctrl", "Enter"], "Run the task that is being written"],
  [["c"], "Chat"],
  [["b"], "Board"],
  [["j"], "Next session"],
  [["k"], "Previous session"],
  [["/"], "Search the sessions"],
  [["Enter"], "Send a follow-up"],
  [["Shift", "Enter"], "New line in a follow-up"],
  [["Ctrl", "Shift", "X"], "Interrupt the turn"],
  [["←", "↑", "↓", "→"], "Move between the board's cards"],
  [["?"], "This list"],
];

export function ShortcutList() {
  return (
    <dl class="shortcuts">
      {KEYS.map(([keys, does]) => (
        <div class="shortcut" key={does}>
          <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}
