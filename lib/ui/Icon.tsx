/** The few line icons of the page, 16 units square, drawn in the text's colour and hidden from screen readers. */

const PATHS = {
  archive: "M2.5 3.5h11v3h-11zM3.5 6.5v6h9v-6M6.5 9h3",
  back: "M10 3L5 8l5 5",
  board: "M2.5 3h3v10h-3zM6.5 3h3v6.5h-3zM10.5 3h3v8h-3z",
  branch:
    "M5 3.2a1.3 1.3 0 1 0 0 .1M5 4.6v6.8M5 12.8a1.3 1.3 0 1 0 0-.1M11 5.2a1.3 1.3 0 1 0 0-.1M11 6.5c0 3-6 1.5-6 4.8",
  chat: "M2.5 3h11v7.5H7L4 13v-2.5H2.5z",
  check: "M3 8.5l3.2 3.2L13 4.8",
  chevron: "M4 6l4 4 4-4",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7.5v7.5H5.5zM3 10.5V3h7.5",
  down: "M8 3v9.5M4 8.8l4 4 4-4",
  edit: "M3 13l.6-2.8L10.8 3l2.2 2.2-7.2 7.2z",
  folder: "M2 4h4.2l1.4 1.6H14v7H2z",
  more: "M3.5 7.9v.2M8 7.9v.2M12.5 7.9v.2M3.4 8h.2M7.9 8h.2M12.4 8h.2",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  play: "M5 3.5v9l7-4.5z",
  plus: "M8 3v10M3 8h10",
  retry: "M12.8 8a4.8 4.8 0 1 1-1.5-3.5M13 2.5v3h-3",
  send: "M8 13V3.5M4 7.2l4-4 4 4",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9a4.5 4.5 0 1 0 0 9M10.3 10.3l3.2 3.2",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  settings:
    "M2.5 4.5H9M12 4.5h1.5M2.5 11.5H4M7 11.5h6.5M12 4.5a1.5 1.5 0 1 1-3 0a1.5 1.5 0 1 1 3 0M7 11.5a1.5 1.5 0 1 1-3 0a1.5 1.5 0 1 1 3 0",
  stop: "M4 4h8v8H4z",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.2 4.5l.6 8.5h6.4l.6-8.5",
  warning: "M8 2.5l6 10.5H2zM8 6.5v3M8 11.2v.1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
