// A file that a person drops anywhere on the page, or chooses with a button.

/** `take(file, others)` gets it, and how many came with it. While one hovers over the page, the body has the class `dropping`. */
export function awaitFiles(input, take) {
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  let depth = 0;
  const show = (on) => document.body.classList.toggle("dropping", on);
  const carriesFile = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!carriesFile(event)) return;
    depth += 1;
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (!carriesFile(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) show(false);
  });
  addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    depth = 0;
    show(false);
    const files = event.dataTransfer?.files ?? [];
    if (!files.length) return;
    event.preventDefault();
    take(files[0], files.length - 1);
  });
}
