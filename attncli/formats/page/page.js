"use strict";
// Walks the tables: shows how the number in sight was made, and lights what it came from.
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const readout = document.querySelector(".readout");
  const form = document.querySelector(".picks");
  const picked = Object.fromEntries(Object.keys(report.axes).map((axis) => [axis, 0]));
  const make = (tag, cls, text) => {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const steps = report.steps.map((step, number) => {
    const section = document.getElementById("step-" + number);
    const sheet = section.querySelector(".sheet");
    if (!sheet) return { ...step, section, cells: [], table: 0 };
    const cells = [...sheet.querySelectorAll("tbody td:not(.gap,.sum,.sigma)")];
    const sums = [...sheet.querySelectorAll("tbody td.sum")];
    const rows = [...sheet.querySelectorAll("th[scope=row]")];
    const names = [...sheet.querySelectorAll("th[scope=col]")];
    cells.forEach((cell, i) => { cell.step = number; cell.place = i; cell.tabIndex = i ? -1 : 0; });
    return { ...step, section, sheet, cells, sums, rows, names, table: 0 };
  });

  // Fewer places than others have on an axis serve several of them, as key heads do.
  const tableOf = (step) => step.counts.reduce((place, n, i) => {
    const axis = step.axes[i];
    const chosen = axis in picked ? Math.floor(picked[axis] * n / report.axes[axis]) : 0;
    return place * n + chosen;
  }, 0);

  const fill = (step) => {
    const table = step.tables[step.table];
    const texts = table.text.split(" ");
    step.cells.forEach((cell, i) => {
      cell.textContent = texts[i];
      cell.className = "s" + table.shade[i] + (texts[i] === "\u00b7" ? " dot" : "");
    });
    step.sums.forEach((cell, i) => { cell.textContent = table.sums[i]; });
    const rows = table.rows || step.tables[0].rows;
    const names = table.names || step.tables[0].names;
    step.rows.forEach((cell, i) => { cell.textContent = cell.title = rows[i]; });
    step.names.forEach((cell, i) => { cell.textContent = cell.title = names[i]; });
    const which = step.section.querySelector(".which");
    if (which) which.textContent = table.heading;
  };

  const nameOf = (step, table, which, place) =>
    (step.tables[table][which] || step.tables[0][which])[place];

  const drawBox = (step, cls, top, bottom, first, last) => {
    const a = step.cells[top * step.columns + first].getBoundingClientRect();
    const b = step.cells[bottom * step.columns + last].getBoundingClientRect();
    const origin = step.sheet.getBoundingClientRect();
    const box = make("i", cls);
    box.style.left = a.left - origin.left + "px";
    box.style.top = a.top - origin.top + "px";
    box.style.width = b.right - a.left + "px";
    box.style.height = b.bottom - a.top + "px";
    box.dataset.cells = [top, bottom, first, last].join(" ");
    step.sheet.append(box);
    for (let row = top; top === bottom && row <= bottom; row++) step.rows[row]?.classList.add("lit");
    for (let column = first; first === last && column <= last; column++) {
      step.names[column]?.classList.add("lit");
    }
  };

  const clear = () => {
    document.querySelectorAll(".from, .line").forEach((node) => node.remove());
    document.querySelectorAll(".lit").forEach((node) => node.classList.remove("lit"));
    document.querySelectorAll(".here").forEach((node) => node.classList.remove("here"));
  };

  const span = (step, table, which, first, last) => {
    const name = nameOf(step, table, which, first);
    return first === last ? name : name + "\u2026" + nameOf(step, table, which, last);
  };

  // Queries q1, Keys k2: a source by its step and by the one row or column that it is.
  const source = ([number, table, top, bottom, first, last]) => {
    const step = steps[number];
    const row = span(step, table, "rows", top, bottom);
    const column = span(step, table, "names", first, last);
    const whole = last - first + 1 === step.columns && step.columns > 1;
    const high = bottom - top + 1 === step.cells.length / step.columns && bottom > top;
    const parts = [high ? "" : row, whole ? "" : column].filter(Boolean);
    const heading = step.tables.length > 1 && table !== step.table
      ? " (" + step.tables[table].heading + ")" : "";
    return step.title + (parts.length ? " " + parts.join(", ") : "") + heading;
  };

  // Powers stand above the line: e^(-1.5) is shown as people write it.
  const written = (line) => {
    const node = make("div", "sum-of");
    node.dataset.line = line;
    const tens = line.replace(/(\d)e(-?\d+)/g, (all, digit, power) =>
      digit + "\u00b710^" + power.replace("-", "\u2212"));
    tens.split(/\^(\([^()]*\)|[^\s()\u00b7/+,;]+)/).forEach((part, i) => {
      const power = part.startsWith("(") ? part.slice(1, -1) : part;
      node.append(i % 2 ? make("sup", "", power) : part);
    });
    return node;
  };

  const say = (cell) => {
    readout.replaceChildren();
    if (!cell) {
      const hint = "Point at a number, or walk with the arrow keys, to see how it was made.";
      readout.append(make("div", "hint", hint));
      return;
    }
    readout.classList.remove("idle");
    const step = steps[cell.step];
    const table = step.tables[step.table];
    const row = Math.floor(cell.place / step.columns);
    const column = cell.place % step.columns;
    const pair = [nameOf(step, step.table, "rows", row), nameOf(step, step.table, "names", column)];
    // A cell is query then key in both notations.
    const place = [table.heading, ...(step.turned ? pair.reverse() : pair)].filter(Boolean);
    const value = table.value[cell.place];
    const shown = value === null ? "\u2212\u221e" : String(value).replace("-", "\u2212");
    const head = make("div", "place");
    const name = make("span", "name");
    name.append(make("b", "", step.title), " " + place.join(", "));
    head.append(name, make("span", "exact", cell.textContent === "nan" ? "nan" : shown));
    const boxes = table.from ? table.from[cell.place] : [];
    let text = table.line ? table.line[cell.place] : "The arithmetic of this one is left out here.";
    const masked = value === null || (step.weights && cell.textContent === "\u00b7");
    if (masked) text = "This key is left out: it gets no weight.";
    else if (table.line && !text) text = boxes.length ? "The same number as before." : "Given.";
    readout.append(head, written(text));
    if (boxes.length) readout.append(make("div", "made", "from " + boxes.map(source).join(" \u00b7 ")));
  };

  const look = (cell) => {
    clear();
    say(cell);
    if (!cell) return;
    const step = steps[cell.step];
    const row = Math.floor(cell.place / step.columns);
    const column = cell.place % step.columns;
    const bottom = step.cells.length / step.columns - 1;
    cell.classList.add("here");
    if (step.columns > 1) drawBox(step, "line", row, row, 0, step.columns - 1);
    if (bottom > 0) drawBox(step, "line", 0, bottom, column, column);
    const boxes = step.tables[step.table].from?.[cell.place] || [];
    for (const [number, table, ...box] of boxes) {
      if (steps[number].table === table) drawBox(steps[number], "from", ...box);
    }
  };

  const cellAt = (target) => {
    const cell = target instanceof Element ? target.closest("td") : null;
    return cell && cell.place !== undefined ? cell : null;
  };
  let walked = null;
  const back = [];

  const go = (cell) => {
    const step = steps[cell.step];
    step.cells.forEach((other) => { other.tabIndex = -1; });
    cell.tabIndex = 0;
    cell.focus();
  };

  document.addEventListener("pointerover", (event) => look(cellAt(event.target) || walked));
  document.documentElement.addEventListener("pointerleave", () => look(walked));
  document.addEventListener("focusin", (event) => {
    walked = cellAt(event.target);
    if (walked) {
      steps[walked.step].cells.forEach((other) => { other.tabIndex = -1; });
      walked.tabIndex = 0;
    }
    look(walked);
  });
  document.addEventListener("focusout", () => { walked = null; look(null); });

  document.addEventListener("keydown", (event) => {
    const cell = cellAt(event.target);
    if (!cell || event.altKey || event.metaKey) return;
    const step = steps[cell.step];
    const wide = step.columns;
    const column = cell.place % wide;
    const start = cell.place - column;
    const last = step.cells.length - 1;
    const to = {
      ArrowLeft: column ? cell.place - 1 : cell.place,
      ArrowRight: column < wide - 1 ? cell.place + 1 : cell.place,
      ArrowUp: cell.place >= wide ? cell.place - wide : cell.place,
      ArrowDown: cell.place + wide <= last ? cell.place + wide : cell.place,
      Home: event.ctrlKey ? 0 : start,
      End: event.ctrlKey ? last : start + wide - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      go(step.cells[to]);
    } else if (event.key === "Enter") {
      // To the first of those that it came from; Backspace goes back.
      const boxes = step.tables[step.table].from?.[cell.place] || [];
      const box = boxes.find(([number, table]) => steps[number].table === table);
      if (!box) return;
      event.preventDefault();
      back.push(cell);
      go(steps[box[0]].cells[box[2] * steps[box[0]].columns + box[4]]);
    } else if (event.key === "Backspace" && back.length) {
      event.preventDefault();
      go(back.pop());
    } else if (event.key === "Escape") {
      cell.blur();
    }
  });

  form?.addEventListener("change", (event) => {
    picked[event.target.name] = Number(event.target.value);
    for (const step of steps) {
      if (step.tables.length < 2) continue;
      step.table = Math.min(tableOf(step), step.tables.length - 1);
      fill(step);
    }
    look(walked);
  });

  steps.forEach((step) => step.cells.length && fill(step));
  readout.hidden = false;
  if (form) form.hidden = false;
  say(null);
})();
