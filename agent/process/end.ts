export * from "../../lib/end_processes.ts";
