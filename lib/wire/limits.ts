/**
 * Limits that both ends and the page know. Text is counted in UTF-16 units after trimming; sizes that end in
 * `Bytes` are bytes of UTF-8. What an operator may change stands in the configuration, not here.
 */
export const TITLE_MAX = 200;
export const DERIVED_TITLE_MAX = 100;
export const TOPIC_MAX = 100;
export const NAME_MAX = 100;
export const PROMPT_MAX = 32_000;
export const REASON_MAX = 500;
export const SUMMARY_MAX = 4_000;
export const ERROR_MAX = 2_000;
export const BRANCH_MAX = 250;
export const URL_MAX = 2_000;
export const SETTINGS_MAX_BYTES = 8 * 1024;
export const TOOL_METADATA_MAX_BYTES = 16 * 1024;
export const TOOL_INPUT_MAX_BYTES = 4 * 1024;
export const DEPENDENCIES_MAX = 50;
export const MEMBERS_MAX = 50;
export const WAITING_PROMPTS_MAX = 20;
/** Permission requests of one session: those that wait at once, and all of them. */
export const PERMISSIONS_OPEN_MAX = 20;
export const PERMISSIONS_MAX = 5_000;
export const PERMISSION_MAX_BYTES = 8 * 1024;
export const PERMISSION_TITLE_MAX = 1_000;
export const PERMISSION_OPTIONS_MAX = 10;
export const API_KEYS_MAX = 20;
/** How much of a description a list shows. */
export const DESCRIPTION_PREVIEW = 300;
export const PAGE_LIMIT_DEFAULT = 50;
export const PAGE_LIMIT_MAX = 500;
/** A page of messages ends after this many bytes of content. */
export const PAGE_MAX_BYTES = 1024 * 1024;
/** Content above this size comes as a preview in pages, whole at `…/messages/:seq`. */
export const CONTENT_INLINE_MAX_BYTES = 32 * 1024;
export const CONTENT_PREVIEW_BYTES = 4 * 1024;
export const BATCH_MAX_MESSAGES = 100;
export const BATCH_MAX_BYTES = 256 * 1024;
/** Everything else that is posted. Descriptions of 32,000 units may take three bytes each, escaped six. */
export const BODY_MAX_BYTES = 256 * 1024;
export const LIVE_FRAME_MAX_BYTES = 64 * 1024;
/** Control link protocol: the range of numbers that this edge still speaks. */
export const PROTOCOL = 1;
export const PROTOCOL_MIN = 1;
