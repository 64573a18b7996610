// The theme, settled before anything is drawn: the system's, or the one that was chosen here.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

  function remember(theme) {
    try {
      if (theme) localStorage.setItem("theme", theme);
      else localStorage.removeItem("theme");
    } catch {
      // a browser that keeps nothing: the choice lasts as long as the page
    }
  }

  function recall() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  }

  function settle(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  root.classList.add("scripted");
  settle(recall());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => {
      const other = shown() === "dark" ? "light" : "dark";
      button.setAttribute("aria-label", `Use the ${other} theme`);
      button.title = `Use the ${other} theme`;
    };
    button.addEventListener("click", () => {
      const other = shown() === "dark" ? "light" : "dark";
      const chosen = other === (system.matches ? "dark" : "light") ? null : other; // the system's own is no choice
      settle(chosen);
      remember(chosen);
      name();
    });
    system.addEventListener("change", name);
    name();
  });
})();
