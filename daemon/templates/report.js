"use strict";
// The page reads without this script; it adds filters, search, keys and the comparison of two pictures.
(() => {
  const $ = (id) => document.getElementById(id);
  const chips = [...document.querySelectorAll(".chip")];
  const parts = [...document.querySelectorAll(".part")].map((node) => ({
    node,
    items: [...node.querySelectorAll("article, .grid > .c")].map((item) => ({
      item, kinds: (item.dataset.k || "").split(" "), text: null,
    })),
  }));
  let part = "";

  const textOf = (entry) => (entry.text ??= entry.item.textContent.toLowerCase());

  const apply = () => {
    const kind = $("kind").value;
    const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { node, items } of parts) {
      let here = 0;
      if (!part || node.id === part) {
        for (const entry of items) {
          const fits = (!kind || entry.kinds.includes(kind)) && words.every((word) => textOf(entry).includes(word));
          entry.item.hidden = !fits;
          here += fits;
        }
      }
      node.hidden = !here;
      shown += here;
    }
    const narrowed = kind || words.length;
    $("none").textContent = !narrowed ? "" : shown ? `${shown.toLocaleString("en")} found.` : "Nothing fits. Clear the search to see everything.";
  };

  const choose = (chip) => {
    part = chip.dataset.part;
    for (const other of chips) other.removeAttribute("aria-current");
    chip.setAttribute("aria-current", "true");
    apply();
    if (window.scrollY > $("results").offsetTop) $("results").scrollIntoView();
  };

  for (const chip of chips) {
    chip.addEventListener("click", (event) => { event.preventDefault(); choose(chip); });
  }
  let waiting = 0;
  $("find").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 120); });
  $("kind").addEventListener("change", apply);

  // Compare: an extra's preview opens both originals; where the browser cannot show one, its preview stands in.
  const dialog = $("compare");
  const stage = dialog.querySelector(".stage");
  const put = (image, link, card) => {
    const anchor = card.querySelector("a.p");
    const preview = card.querySelector("img");
    image.onerror = () => { image.onerror = null; image.src = preview ? preview.src : ""; };
    image.src = anchor ? anchor.href : preview ? preview.src : "";
    link.hidden = !anchor;
    if (anchor) link.href = anchor.href;
  };
  const slide = () => { $("cextra").style.clipPath = stage.classList.contains("over") ? `inset(0 0 0 ${$("slide").value}%)` : ""; };
  const overlay = (on) => {
    stage.classList.toggle("over", on);
    $("overlay").setAttribute("aria-pressed", on);
    dialog.querySelector(".slide").hidden = !on;
    slide();
  };
  const compare = (extra) => {
    put($("ckeep"), $("okeep"), extra.parentElement.querySelector(".keeper"));
    put($("cextra"), $("oextra"), extra);
    $("cname").textContent = extra.querySelector("h4").textContent;
    $("ckind").textContent = extra.querySelector(".t b").textContent;
    overlay(false);
    dialog.showModal();
  };
  $("overlay").addEventListener("click", () => overlay(!stage.classList.contains("over")));
  $("slide").addEventListener("input", slide);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".extra a.p");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    compare(link.closest(".extra"));
  });

  // Keys: "/" finds, j and k go to the next and previous group.
  const step = (by) => {
    const groups = [...document.querySelectorAll("article")].filter((group) => group.offsetParent);
    const at = groups.indexOf(document.activeElement.closest("article"));
    const next = groups[at < 0 ? 0 : at + by];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView(); }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || event.target.closest("input, select")) return;
    if (event.key === "/") { event.preventDefault(); $("find").focus(); }
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
  });

  document.documentElement.classList.add("js");
  document.querySelector(".tools").hidden = false;
})();
