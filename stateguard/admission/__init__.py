"""May this tree, may this push come in? Names, refs, documents, references; content is judged, never trusted."""
