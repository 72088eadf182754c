// What a shell that is not a notebook builds its host from: the Lab panel loads this beside the views.

export { HttpHost } from "./host/http-host";
export { ShellHost } from "./host/shell";
export { wordsOf } from "./host/host";
