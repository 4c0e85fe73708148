// What moves on the pages: panels, whose pictures have been drawn in advance, and quizzes.
"use strict";

for (const panel of document.querySelectorAll(".panel")) {
  const { texts, alts } = JSON.parse(panel.querySelector("script").textContent);
  const controls = [...panel.querySelectorAll("input, select")];
  const picture = panel.querySelector("img");
  const said = panel.querySelector(".panel-said");
  const at = (control) => (control.tagName === "SELECT" ? control.selectedIndex : Number(control.value));
  const draw = () => {
    // The last control runs fastest through the pictures.
    const number = controls.reduce((sum, control, n) => sum * texts[n].length + at(control), 0);
    const { pictures, first, step } = panel.dataset;
    picture.src = `${pictures}${Number(first) + Number(step) * number}.webp`;
    picture.alt = alts[number];
    return number;
  };
  controls.forEach((control, n) => {
    const follow = () => {
      const text = texts[n][at(control)];
      if (control.type === "range") {
        control.setAttribute("aria-valuetext", text);
        control.nextElementSibling.value = text;
      }
      draw();
    };
    control.addEventListener("input", follow);
    // The description is spoken when the handle rests, not at every position on the way.
    control.addEventListener("change", () => { said.textContent = alts[draw()]; });
    follow();
  });
}

for (const quiz of document.querySelectorAll(".quiz")) {
  quiz.addEventListener("change", (event) => {
    const question = event.target.closest("fieldset");
    const { feedback, right } = event.target.dataset;
    question.dataset.right = right;
    question.querySelector("[role=status]").textContent =
      `${right === "yes" ? "Right." : "Not quite."} ${feedback}`;
    const all = quiz.querySelectorAll("fieldset").length;
    const good = quiz.querySelectorAll("fieldset[data-right=yes]").length;
    quiz.querySelector(".quiz-score").textContent = `${good} of ${all} answered right.`;
  });
}

// What can be scrolled can be scrolled by keyboard too.
for (const box of document.querySelectorAll(".bd-article pre, .bd-article .output, .pst-scrollable-table-container")) {
  if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) box.tabIndex = 0;
}

// The theme's arrows that open a part of the table of contents have no name of their own.
for (const summary of document.querySelectorAll("summary")) {
  if (!summary.textContent.trim()) summary.setAttribute("aria-label", "Pages below this one");
}

// Paper is white: what is printed has the light colours, since browsers leave a dark background out.
const root = document.documentElement;
const onPaper = matchMedia("print");
let onScreen = null;
const follow = () => {
  if (onPaper.matches) {
    onScreen ??= root.dataset.theme;
    root.dataset.theme = "light";
  } else if (onScreen !== null) {
    root.dataset.theme = onScreen;
    onScreen = null;
  }
};
onPaper.addEventListener("change", follow);
follow();
