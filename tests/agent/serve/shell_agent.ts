/** A coding agent in a few lines of shell, for what no decent one does, and for what the demo has not: costs, slowness. */

export interface Script {
  /** Commands that run before it shakes hands. */
  onStart?: string;
  /** Commands that run when it is asked something; `$line` is the request, `answer JSON` answers it. */
  onPrompt: string;
  /** Commands that run when it is sent a prompt in the middle of a turn: then it offers that. */
  onSteer?: string;
  /** Commands that run when it is to go on with an earlier conversation: then it offers that. */
  onLoad?: string;
}

/** Writes the program into `folder`. Answers its path. */
export async function shellAgent(
  folder: string,
  { onStart = ":", onPrompt, onSteer, onLoad }: Script,
): Promise<string> {
  const path = `${folder}/shell-agent.sh`;
  const offer = onSteer === undefined ? "" : ',"_meta":{"steering":{"supported":true}}';
  await Deno.writeTextFile(
    path,
    `#!/bin/bash
answer() { echo '{"jsonrpc":"2.0","id":'"$(sed -n 's/.*"id":\\([0-9]*\\).*/\\1/p' <<< "$line")"',"result":'"$1"'}'; }
update() { echo '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"one","update":'"$1"'}}'; }
while IFS= read -r line; do
  case $line in
    *'"initialize"'*) ${onStart}; answer '{"protocolVersion":1,"agentCapabilities":{"loadSession":${
      onLoad !== undefined
    }}${offer}}';;
    *'"session/new"'*) answer '{"sessionId":"one"}';;
    *'"session/load"'*) ${onLoad ?? ":"};;
    *'"session/prompt"'*) ${onPrompt};;
    *'"_session/steering"'*) ${onSteer ?? ":"};;
  esac
done
`,
  );
  await Deno.chmod(path, 0o755);
  return path;
}
