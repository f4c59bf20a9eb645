// The search and the switch between light and dark. Without this script the pages are as good to read, and neither is shown.
"use strict";

// The switch. What the reader has chosen is kept, unless it is what the system says anyway.
const dark = matchMedia("(prefers-color-scheme: dark)");
const choice = {
  get() {
    try { return localStorage.getItem("theme"); } catch { return null; } // some browsers keep nothing for pages from the disk
  },
  set(theme) {
    try {
      if (theme) localStorage.setItem("theme", theme); else localStorage.removeItem("theme");
    } catch { /* then it holds for this page */ }
  },
};
const system = () => (dark.matches ? "dark" : "light");
let theme = choice.get();
const shown = () => theme || system();
if (theme) document.documentElement.dataset.theme = theme;

function setUpSwitch() {
  const button = document.getElementById("theme");
  const show = () => {
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    const other = shown() === "dark" ? "light" : "dark";
    button.textContent = other === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `Change to ${other} colours`);
  };
  button.addEventListener("click", () => {
    theme = shown() === "dark" ? "light" : "dark";
    if (theme === system()) theme = null;
    choice.set(theme);
    show();
  });
  dark.addEventListener("change", show);
  button.hidden = false;
  show();
}

// The search. Its index is a script too, which a page from the disk may load, and which is loaded when somebody wants to search.
let sections = null;
let whenLoaded = () => {};
function searchIndex(all) {
  sections = all.map((s) => ({ ...s, lowerTitle: s.title.toLowerCase(), lowerHeading: (s.heading || "").toLowerCase(), lower: s.text.toLowerCase() }));
  whenLoaded();
}

const root = document.documentElement.dataset.root;
function loadIndex() {
  loadIndex = () => {};
  const script = document.createElement("script");
  script.src = `${root}search.js`;
  document.head.append(script);
}

const most = 20; // results that are shown
const isWord = (c) => c !== undefined && /[\p{L}\p{N}_]/u.test(c);

// rate tells how well a text has a word: as a whole word, as the beginning of one, or within one.
function rate(text, word) {
  let best = 0;
  for (let i = text.indexOf(word), n = 0; i >= 0 && n < 20 && best < 4; i = text.indexOf(word, i + 1), n++) {
    const begins = !isWord(text[i - 1]), ends = !isWord(text[i + word.length]);
    best = Math.max(best, begins && ends ? 4 : begins ? 3 : 1);
  }
  return best;
}

// search returns the sections that have all words, the best first: a word in a heading counts more than one in the text, and one in the
// title of the page more still.
function search(words) {
  const found = [];
  sections.forEach((s, i) => {
    let sum = 0;
    for (const w of words) {
      const rating = 10 * rate(s.lowerTitle, w) + 6 * rate(s.lowerHeading, w) + rate(s.lower, w);
      if (rating === 0) return;
      sum += rating;
    }
    found.push({ s, sum, i });
  });
  found.sort((a, b) => b.sum - a.sum || a.i - b.i);
  return found.map((f) => f.s);
}

// mark appends a text to an element, with the words in it marked.
function mark(element, text, words) {
  const pattern = new RegExp(words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "giu");
  let last = 0;
  for (const m of text.matchAll(pattern)) {
    const marked = document.createElement("mark");
    marked.textContent = m[0];
    element.append(text.slice(last, m.index), marked);
    last = m.index + m[0].length;
  }
  element.append(text.slice(last));
}

// excerpt is the part of a text around the first of the words.
function excerpt(s, words) {
  const at = Math.max(0, Math.min(...words.map((w) => s.lower.indexOf(w)).filter((i) => i >= 0), s.text.length) - 50);
  const from = at === 0 || at >= s.text.length - 50 ? 0 : s.text.indexOf(" ", at) + 1;
  const part = s.text.slice(from, from + 160);
  return (from > 0 ? "… " : "") + part + (from + 160 < s.text.length ? " …" : "");
}

function setUpSearch() {
  const form = document.querySelector("form[role=search]");
  const box = document.getElementById("search");
  const results = document.getElementById("results");
  const count = document.getElementById("count");
  const list = document.getElementById("found");

  const update = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.hidden = words.length === 0;
    list.replaceChildren();
    if (words.length === 0) return;
    if (!sections) {
      count.textContent = "Loading …";
      return;
    }
    const found = search(words);
    count.textContent = found.length === 0 ? `Nothing has “${box.value.trim()}”.`
      : found.length > most ? `The best ${most} of ${found.length} places` : found.length === 1 ? "1 place" : `${found.length} places`;
    for (const s of found.slice(0, most)) {
      const link = document.createElement("a");
      link.href = root + s.page;
      const title = document.createElement("b");
      mark(title, s.heading ? `${s.title}: ${s.heading}` : s.title, words);
      const text = document.createElement("span");
      mark(text, excerpt(s, words), words);
      link.append(title, text);
      const item = document.createElement("li");
      item.append(link);
      list.append(item);
    }
  };
  whenLoaded = update;
  const close = () => { results.hidden = true; };

  box.addEventListener("focus", () => { loadIndex(); update(); });
  box.addEventListener("input", () => { loadIndex(); update(); });
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    list.querySelector("a")?.click();
  });
  form.addEventListener("keydown", (e) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (e.key === "Escape") {
      close();
      box.blur();
    } else if (e.key === "ArrowDown" && links.length > 0) {
      e.preventDefault();
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (e.key === "ArrowUp" && at >= 0) {
      e.preventDefault();
      (links[at - 1] || box).focus();
    }
  });
  list.addEventListener("click", close); // the place may be on this page
  document.addEventListener("click", (e) => { if (!form.contains(e.target)) close(); });
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      e.preventDefault();
      box.focus();
    }
  });
  form.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => {
  setUpSwitch();
  setUpSearch();
});
