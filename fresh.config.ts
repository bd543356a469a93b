/** Where the page's sources are and where the build goes: plain data with Fresh's name, read by `lib/render`. */
const config = {
  routes: "routes",
  islands: "islands",
  static: "static",
  /** Bundled from the static folder's parts into one file. */
  stylesheet: "static/app.css",
  output: "_fresh",
};

export default config;
