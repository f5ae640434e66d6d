// What pages do besides being pages: parts that change are put in their place, and figures are drawn. Without it every
// page works, and shows what was so when it was loaded.

const main = document.querySelector('main[data-live]');
const updated = document.querySelector('[data-updated]');
const liveness = document.querySelector('[data-liveness]');

if (main) follow(main.dataset.live);
drawCharts();

/** Takes the parts of the page from the server whenever they have changed. */
function follow(address) {
  const events = new EventSource(address);
  say('Live.', 'live');
  events.addEventListener('parts', ({ data }) => {
    for (const [name, text] of Object.entries(JSON.parse(data))) replacePart(name, text);
    drawCharts();
    touch();
  });
  events.addEventListener('beat', touch);
  events.addEventListener('problem', ({ data }) => say(`Not up to date: ${JSON.parse(data)}`, 'lost'));
  events.addEventListener('error', () =>
    say('The console does not answer; trying again. What is shown may be old.', 'lost'),
  );
}

/** The text comes from our own server, which has escaped all that others wrote. */
function replacePart(name, text) {
  const part = main.querySelector(`:scope > [data-part="${CSS.escape(name)}"]`);
  if (!part) return;
  const focused = part.contains(document.activeElement) ? pathTo(part, document.activeElement) : undefined;
  const open = new Set(Array.from(part.querySelectorAll('details[open]'), ({ id }) => id));
  part.innerHTML = text;
  for (const details of part.querySelectorAll('details')) details.open = open.has(details.id);
  focused?.(part)?.focus({ preventScroll: true });
}

/** Finds the same element again in the part's new content: by its link or id, else by its place. */
function pathTo(part, element) {
  const href = element.getAttribute('href');
  const index = Array.from(part.querySelectorAll('a,button,input,select,summary')).indexOf(element);
  return (fresh) =>
    (element.id && document.getElementById(element.id)) ||
    (href && fresh.querySelector(`a[href="${CSS.escape(href)}"]`)) ||
    fresh.querySelectorAll('a,button,input,select,summary')[index];
}

function touch() {
  const now = new Date();
  updated.dateTime = now.toISOString();
  updated.textContent = `${now.toISOString().slice(11, 19)} UTC`;
  say('Live.', 'live');
}

function say(text, state) {
  liveness.textContent = text;
  liveness.dataset.state = state;
}

/** Draws every figure of the page: `[times in seconds, values]` in its data. */
function drawCharts() {
  for (const figure of document.querySelectorAll('[data-chart]')) {
    const data = JSON.parse(figure.dataset.chart);
    if (data[0].length < 2 || figure.dataset.drawn !== undefined) continue;
    figure.dataset.drawn = '';
    draw(figure.querySelector('.chart'), data, figure.dataset.unit);
  }
}

/** The time of day in UTC of a moment in seconds: with seconds where the marks are less than a minute apart. */
function clock(seconds, apart) {
  return new Date(seconds * 1000).toISOString().slice(11, apart < 60 ? 19 : 16);
}

function draw(place, data, unit) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  };
  const number = (value) =>
    value === null || value === undefined
      ? '–'
      : value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
  const options = {
    width: place.clientWidth,
    height: 220,
    // The last mark of time reaches beyond its line.
    padding: [null, 32, null, null],
    cursor: { y: false },
    // A minute at least, so that the first figures do not jump about.
    scales: {
      x: { range: (_, from, to) => [Math.min(from, to - 60), to] },
      y: { range: (_, __, most) => [0, Math.max(5, most * 1.1)] },
    },
    // As everything else on the page: UTC, by 24 hours.
    axes: [
      { ...axis, values: (_, times, __, ___, apart) => times.map((at) => clock(at, apart)) },
      { ...axis, size: 64, values: (_, values) => values.map(number) },
    ],
    series: [
      { value: (_, seconds) => (seconds === null ? '–' : `${clock(seconds, 1)} UTC`) },
      {
        label: unit,
        stroke: colour('--run'),
        fill: colour('--run-soft'),
        width: 2,
        points: { show: false },
        value: (_, value) => number(value),
      },
    ],
  };
  const chart = new uPlot(options, data, place);
  const observer = new ResizeObserver(() => {
    if (!place.isConnected) observer.disconnect();
    else if (place.clientWidth > 0) chart.setSize({ width: place.clientWidth, height: 220 });
  });
  observer.observe(place);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const figure of document.querySelectorAll('[data-drawn]')) {
    figure.querySelector('.chart').replaceChildren();
    delete figure.dataset.drawn;
  }
  drawCharts();
});
