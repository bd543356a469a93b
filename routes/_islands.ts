/** The islands of the page, by name: each is the default export of the file of that name in the islands folder. */
import AddMachine from "../islands/AddMachine.tsx";
import CredentialList from "../islands/CredentialList.tsx";
import NodeList from "../islands/NodeList.tsx";
import ProjectApp from "../islands/ProjectApp.tsx";
import ProjectForm from "../islands/ProjectForm.tsx";
import SettingsForm from "../islands/SettingsForm.tsx";
import StopEverything from "../islands/StopEverything.tsx";
import WorkspaceApp from "../islands/WorkspaceApp.tsx";

export const islands = {
  AddMachine,
  CredentialList,
  NodeList,
  ProjectApp,
  ProjectForm,
  SettingsForm,
  StopEverything,
  WorkspaceApp,
};
