"use strict";
document.documentElement.classList.add("js");
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("cut");
  if (slider && data.scores.length) {
    const marks = new Map();
    for (const circle of document.querySelectorAll("#maps circle[data-row]")) {
      const row = Number(circle.dataset.row);
      if (!marks.has(row)) marks.set(row, []);
      marks.get(row).push(circle);
    }
    const count = document.getElementById("count");
    const precision = document.getElementById("precision");
    const line = document.getElementById("cutline");
    const [low, high] = data.span;
    const typed = document.getElementById("typed"), command = typed.textContent;
    const falling = [...data.scores].sort((one, other) => other - one);
    let shown = new Map();
    const show = (decided) => {
      const cut = decided ? data.cut ?? Infinity : falling[Number(slider.value) - 1] ?? Infinity;
      let picks = 0, sum = 0;
      data.rows.forEach((row, i) => {
        const pick = decided ? data.kept[i] : data.scores[i] >= cut;
        if (pick) { picks += 1; if (data.probabilities) sum += data.probabilities[i]; }
        if (shown.get(row) !== pick) {
          shown.set(row, pick);
          for (const circle of marks.get(row) || [])
            circle.setAttribute("class", pick ? "pick" : "left");
        }
      });
      count.textContent = picks;
      if (precision) precision.textContent = picks ? (100 * sum / picks).toFixed(0) + " %" : "–";
      const score = Number.isFinite(cut) ? cut.toFixed(3) : "–";
      document.getElementById("cutvalue").textContent = score;
      const x = 1000 * (Math.min(cut, high) - low) / (high - low || 1);
      line.setAttribute("x1", x); line.setAttribute("x2", x);
      slider.setAttribute("aria-valuetext", picks + " picks from score " + score + " on");
      typed.hidden = decided || !picks;
      typed.textContent = command.replace("--top NUMBER", "--top " + picks);
    };
    slider.addEventListener("input", () => show(false));
    document.getElementById("reset").addEventListener("click", () => {
      slider.value = data.kept.filter(Boolean).length; show(true);
    });
  }
  const dialog = document.getElementById("enlarged");
  const tiles = [...document.querySelectorAll(".tiles figure")];
  const open = (tile) => {
    dialog.querySelector("img").src = tile.querySelector("img").src;
    dialog.querySelector("img").alt = tile.querySelector("img").alt;
    dialog.querySelector("p").textContent = tile.dataset.about;
    if (!dialog.open) dialog.showModal();
  };
  tiles.forEach((tile, i) => {
    tile.tabIndex = i ? -1 : 0;
    tile.addEventListener("click", () => { tile.focus(); open(tile); });
    tile.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -i, End: tiles.length - 1 - i }[event.key];
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(tile); }
      else if (step !== undefined) {
        event.preventDefault();
        const next = tiles[Math.min(Math.max(i + step, 0), tiles.length - 1)];
        tile.tabIndex = -1; next.tabIndex = 0; next.focus();
      }
    });
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const now = tiles.findIndex((tile) => tile.tabIndex === 0);
    const next = tiles[Math.min(Math.max(now + step, 0), tiles.length - 1)];
    tiles[now].tabIndex = -1; next.tabIndex = 0; open(next);
  });
  dialog.addEventListener("close", () => {
    const now = tiles.find((tile) => tile.tabIndex === 0);
    if (now) now.focus();
  });
})();
