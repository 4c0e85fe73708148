// Looking for findings, and their order: all that the page's script does. It asks nothing of any server.
(() => {
  const tools = document.getElementById("tools");
  const search = document.getElementById("search");
  const order = document.getElementById("order");
  const told = document.getElementById("matches");
  const bodies = [...document.querySelectorAll(".findings table[role=table] tbody")];
  const rows = bodies.flatMap((body) => [...body.rows]);
  if (!rows.length) return;
  tools.hidden = false;
  rows.forEach((row, number) => {
    row.place = number;
    row.words = `${row.textContent} ${row.querySelector(".title").hash}`.toLowerCase(); // the metric's name, too
  });

  const look = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of rows) {
      const hit = words.every((word) => row.words.includes(word));
      row.classList.toggle("other", !hit);
      found += hit;
    }
    told.textContent = words.length ? `${found} of ${rows.length} findings on this page` : "";
    if (words.length) document.querySelectorAll(".fold").forEach((fold) => { fold.open = true; });
  };

  const keys = {
    listed: (row) => row.place,
    where: (row) => row.querySelector(".slice").textContent,
    effect: (row) => -Number(row.dataset.effect),
    p: (row) => (row.dataset.p === "" ? 2 : Number(row.dataset.p)),
  };
  const sort = () => {
    const key = keys[order.value];
    const compare = (a, b) => {
      const one = key(a), two = key(b);
      const first = typeof one === "string" ? one.localeCompare(two, undefined, { numeric: true }) : one - two;
      return first || a.place - b.place;
    };
    for (const body of bodies) body.append(...[...body.rows].sort(compare));
  };

  search.addEventListener("input", look);
  order.addEventListener("change", sort);
})();
