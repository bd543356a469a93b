import { assertEquals } from "@std/assert";
import { diffFiles } from "../../../lib/ui/diff_files.ts";

const DIFF = `diff --git a/src/a b.ts b/src/a b.ts
index 1111111..2222222 100644
--- a/src/a b.ts
+++ b/src/a b.ts
@@ -1,2 +1,2 @@
 same
-old
+new
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-diff --git a/not b/a header
diff --git a/before.txt b/after.txt
similarity index 100%
rename from before.txt
rename to after.txt
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
`;

Deno.test("a diff of many files is one part for each, with its name and how much was changed", () => {
  const files = diffFiles(DIFF);
  assertEquals(files.map(({ path, added, removed }) => [path, added, removed]), [
    ["src/a b.ts", 1, 1],
    ["gone.txt", 0, 1],
    ["after.txt", 0, 0],
    ["logo.png", 0, 0],
  ]);
  assertEquals(files[0]!.text, "@@ -1,2 +1,2 @@\n same\n-old\n+new\n");
  assertEquals(files[3]!.text.includes("Binary files"), true);
});

Deno.test("no diff is no file, and a part that was cut off keeps what is there", () => {
  assertEquals(diffFiles(""), []);
  const [cut] = diffFiles(DIFF.slice(0, DIFF.indexOf("+new")));
  assertEquals([cut!.path, cut!.added, cut!.removed], ["src/a b.ts", 0, 1]);
});
