/** The page of the chat engine: begins it in the element that the server's document holds. */
import { render } from "preact";
import { App } from "./App.tsx";

const root = document.getElementById("page");
if (root) render(<App />, root);
