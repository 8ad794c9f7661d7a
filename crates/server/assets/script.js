// Copy buttons. Pages say all they say without this file.
"use strict";

// Without a secure context there is no clipboard API: the text is selected, which the old command copies.
async function copy(code) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(code.textContent);
    return;
  }
  const range = document.createRange();
  range.selectNodeContents(code);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  if (!document.execCommand("copy")) {
    throw new Error("the browser does not copy");
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const code = button.previousElementSibling;
  const label = button.textContent;
  let timer = 0;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await copy(code);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it by hand";
    }
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = label; }, 2000);
  });
}
