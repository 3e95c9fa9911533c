"use strict";
// The page reads without this script; it adds filters, search, keys and the comparison of two pictures.
(() => {
  const $ = (id) => document.getElementById(id);
  const chips = [...document.querySelectorAll(".chip")];
  const parts = [...document.querySelectorAll(".part")].map((node) => ({
    node,
    chunks: [...node.querySelectorAll(".chunk")].map((box) => {
      const later = box.querySelector(":scope > noscript");
      return { box, html: later ? later.textContent : box.innerHTML, waits: Boolean(later), items: null, fits: null };
    }),
  }));
  const chunks = parts.flatMap((each) => each.chunks);
  let part = "";

  // A chunk's items as text, read from its source: a search needs no elements.
  const signs = { "&lt;": "<", "&gt;": ">", "&#34;": '"', "&#39;": "'", "&quot;": '"', "&amp;": "&" };
  const itemsOf = (chunk) => (chunk.items ??= chunk.html.split("<article").slice(1).map((source) => ({
    kinds: (/^[^>]*data-k="([^"]*)"/.exec(source) || ["", ""])[1].split(" "),
    text: source.replace(/^[^>]*>|<[^>]*>/g, " ").replace(/&[#a-z0-9]+;/g, (sign) => signs[sign] || " ").toLowerCase(),
  })));
  const count = (chunk) => (chunk.fits || itemsOf(chunk)).filter(Boolean).length;

  const dress = ({ box, fits }) => {
    [...box.children].forEach((item, index) => { item.hidden = Boolean(fits) && !fits[index]; });
  };
  const unfold = (chunk) => {
    if (!chunk.waits) return;
    chunk.waits = false;
    chunk.box.innerHTML = chunk.html;
    chunk.box.style.minHeight = "";
    dress(chunk);
  };
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      unfold(chunks.find((chunk) => chunk.box === target));
    }
  }, { rootMargin: "1500px" });

  // What is still folded keeps about the room it will need, so that the scroll bar tells the truth.
  const reserve = () => {
    for (const { chunks: [first, ...rest] } of parts) {
      const each = first.box.offsetHeight / count(first) || 400;
      for (const chunk of rest) if (chunk.waits) chunk.box.style.minHeight = `${Math.round((chunk.fits ? count(chunk) : 40) * each)}px`;
    }
  };

  const apply = () => {
    const kind = $("kind").value;
    const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const narrowed = kind || words.length > 0;
    const fits = (item) => (!kind || item.kinds.includes(kind)) && words.every((word) => item.text.includes(word));
    let shown = 0;
    for (const { node, chunks: all } of parts) {
      let here = 0;
      for (const chunk of !part || node.id === part ? all : []) {
        chunk.fits = narrowed ? itemsOf(chunk).map(fits) : null;
        const found = narrowed ? count(chunk) : 1;
        chunk.box.hidden = !found;
        if (!chunk.waits) dress(chunk);
        here += found;
      }
      node.hidden = !here;
      shown += here;
    }
    reserve();
    const answer = shown ? `${shown.toLocaleString("en")} found.` : "Nothing fits. Clear the search to see everything.";
    $("none").textContent = narrowed ? answer : "";
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
  const slide = () => stage.style.setProperty("--at", `${$("slide").value}%`);
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
    const open = chunks.filter((chunk) => chunk.box.offsetParent);
    const at = open.findIndex((chunk) => chunk.box.contains(document.activeElement));
    for (const chunk of [open[at - 1], open[at + 1]]) if (chunk) unfold(chunk);
    const items = [...document.querySelectorAll("article[data-k]")].filter((item) => item.offsetParent);
    const next = items[at < 0 ? 0 : items.indexOf(document.activeElement.closest("article")) + by];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView(); }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || event.target.closest("input, select")) return;
    if (event.key === "/") { event.preventDefault(); $("find").focus(); }
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
  });

  document.documentElement.classList.add("js");
  reserve();
  for (const chunk of chunks) if (chunk.waits) near.observe(chunk.box);
  window.addEventListener("beforeprint", () => chunks.forEach(unfold));
  document.querySelector(".tools").hidden = false;
})();
