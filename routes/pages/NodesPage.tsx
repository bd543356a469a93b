/** The machines of a person. */
import AddMachine from "../../islands/AddMachine.tsx";
import NodeList from "../../islands/NodeList.tsx";
import StopEverything from "../../islands/StopEverything.tsx";
import type { User } from "../../lib/wire/account.ts";
import type { OwnNode } from "../../lib/wire/node.ts";
import { Layout } from "../_layout.tsx";

export interface NodesPageProps {
  me: User;
  nodes: OwnNode[];
  warnings?: string[];
  now?: number;
}

export function NodesPage({ me, nodes, warnings = [], now = Date.now() }: NodesPageProps) {
  return (
    <Layout me={me} current="nodes">
      <main class="page">
        <h1>Nodes</h1>
        <NodeList nodes={nodes} warnings={warnings} now={now} />
        <AddMachine />
        <StopEverything />
      </main>
    </Layout>
  );
}
