/*
npm run diagram: draws docs/architecture.svg, how a notification travels, from the lists below.
*/
import { writeFileSync } from 'node:fs';

const COLUMNS = [40, 310, 510, 710, 940];
const WIDTHS = [200, 140, 140, 170, 180];
const ROWS = [64, 186, 318, 440];
const BOX_HEIGHT = 64;
const [WIDTH, HEIGHT] = [1190, 572];

/** Column, row, kind, title, note. */
const BOXES: [number, number, 'outside' | 'table' | 'part' | 'handler', string, string][] = [
  [0, 0, 'outside', 'writer', 'smart_notify(), or a trigger'],
  [0, 1, 'table', 'notification_log', 'append-only'],
  [0, 3, 'table', 'consumer_progress', 'delivery, lease'],
  [1, 0, 'part', 'control', 'daemon/control'],
  [2, 0, 'part', 'tail', 'daemon/tail'],
  [3, 0, 'part', 'runner', 'daemon/owned'],
  [4, 0, 'part', 'dispatcher', 'daemon/owned'],
  [3, 1, 'part', 'take', 'daemon/shared'],
  [4, 1, 'part', 'dispatcher', 'daemon/shared'],
  [4, 2, 'part', 'queue', 'daemon/calls'],
  [3, 2, 'part', 'lanes', 'or a transaction lane'],
  [2, 2, 'handler', 'handler', 'your consumer file'],
  [3, 3, 'part', 'account', 'ledger, or leases'],
  [2, 3, 'part', 'settler', 'owned or shared'],
  [4, 3, 'part', 'due again', 'owned/retries, shared/take'],
];

/** A path in SVG's words, and where the middle of its label is. */
const ARROWS: [string, string?, number?, number?][] = [
  ['M140,128 V186', 'insert', 166, 144],
  ['M240,96 H310', 'NOTIFY', 267, 88],
  ['M450,96 H510', 'wakes', 480, 88],
  ['M650,96 H710', 'pages', 680, 88],
  ['M880,96 H940'],
  ['M240,202 H580 V128', 'new rows, read once for all', 450, 196],
  ['M240,218 H670 V152 H795 V128', 'missed rows', 738, 146],
  ['M240,234 H710', 'pages of shared consumers', 450, 250],
  ['M880,218 H940', 'leases', 910, 210],
  ['M1120,108 H1138 V350 H1120'],
  ['M1030,250 V318', 'tasks', 1052, 288],
  ['M940,350 H880'],
  ['M710,350 H650', 'calls', 680, 342],
  ['M795,382 V440', 'outcome', 828, 415],
  ['M710,472 H650'],
  ['M510,472 H240', 'one transaction: position, deliveries', 388, 464],
  ['M140,504 V534 H1030 V504', 'deliveries that are due', 580, 526],
  ['M1120,472 H1156 V84 H1120'],
  ['M1156,218 H1120'],
];

/** x, y, width, height, label and where it begins. */
const GROUPS: [number, number, number, number, string, number, number][] = [
  [20, 152, 240, 400, 'PostgreSQL', 36, 172],
  [280, 20, 890, 532, 'the daemon: pgwatch listen', 296, 44],
];

const STYLE = `
  text { font: 14px sans-serif; fill: #1f2328; text-anchor: middle; }
  .note, .label { font-size: 12px; fill: #59636e; }
  .group-label { font-size: 13px; fill: #59636e; text-anchor: start; }
  .paper { fill: #ffffff; }
  .group { fill: #f6f8fa; stroke: #d1d9e0; }
  .part, .outside { fill: #ffffff; stroke: #818b98; }
  .outside { stroke-dasharray: 4 3; }
  .table { fill: #ddf4ff; stroke: #54aeff; }
  .handler { fill: #dafbe1; stroke: #4ac26b; }
  path { fill: none; stroke: #59636e; stroke-width: 1.5; }
  marker path { fill: #59636e; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .note, .label, .group-label { fill: #9198a1; }
    .paper { fill: #0d1117; }
    .group { fill: #151b23; stroke: #3d444d; }
    .part, .outside { fill: #0d1117; stroke: #656c76; }
    .table { fill: #0c2d6b; stroke: #388bfd; }
    .handler { fill: #033a16; stroke: #2ea043; }
    path { stroke: #9198a1; }
    marker path { fill: #9198a1; }
  }
`;

const HEAD = `<defs>
<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
  orient="auto">
<path d="M0,0 L10,5 L0,10 z"/>
</marker>
</defs>`;

const size = (width = 0, height = 0) => `width="${width}" height="${height}"`;
const text = (style: string, label = '', x = 0, y = 0) =>
  `<text class="${style}" x="${x}" y="${y}">${label}</text>`;

const groups = GROUPS.flatMap(([x, y, width, height, label, labelX, labelY]) => [
  `<rect class="group" x="${x}" y="${y}" ${size(width, height)} rx="8"/>`,
  text('group-label', label, labelX, labelY),
]);
const arrows = ARROWS.flatMap(([path, label, x, y]) => [
  `<path d="${path}" marker-end="url(#head)"/>`,
  ...(label ? [text('label', label, x, y)] : []),
]);
const boxes = BOXES.flatMap(([column, row, kind, title, note]) => {
  const [x = 0, y = 0, width = 0] = [COLUMNS[column], ROWS[row], WIDTHS[column]];
  return [
    `<rect class="${kind}" x="${x}" y="${y}" ${size(width, BOX_HEIGHT)} rx="6"/>`,
    text('title', title, x + width / 2, y + 28),
    text('note', note, x + width / 2, y + 47),
  ];
});
const viewBox = `viewBox="0 0 ${WIDTH} ${HEIGHT}"`;
const drawing = [
  `<svg xmlns="http://www.w3.org/2000/svg" ${viewBox} ${size(WIDTH, HEIGHT)} role="img">`,
  '<title>How a notification travels through pgwatch</title>',
  `<style>${STYLE}</style>`,
  HEAD,
  `<rect class="paper" ${size(WIDTH, HEIGHT)} rx="8"/>`,
  ...groups,
  ...arrows,
  ...boxes,
  '</svg>\n',
];
writeFileSync(new URL('../docs/architecture.svg', import.meta.url), drawing.join('\n'));
