/** The words for who let a tool call go ahead. */

/** Who let a tool call go ahead or not; "" where nobody was asked, or the answer is still to come. */
export function permissionLabel(permission: { outcome: string; by: string } | undefined): string {
  if (!permission || permission.by === "policy" || permission.outcome === "asked") return "";
  if (permission.by === "timeout") return "Not answered in time";
  return `${permission.outcome.startsWith("allow") ? "Allowed" : "Rejected"} by ${permission.by}`;
}
