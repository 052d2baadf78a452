// How the page of a report looks.

export const PAGE_STYLE = `
*{box-sizing:border-box}
body{margin:0;background:var(--surface);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 8px}
h2{font-size:21px;margin:40px 0 12px}
h3{font-size:17px;margin:32px 0 8px}
h4{font-size:15px;margin:0 0 2px}
p{margin:0 0 8px;color:var(--soft);max-width:80ch}
nav a{color:var(--met);margin-right:16px}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 20px}
.tiles div{background:var(--panel);border-radius:8px;padding:12px 18px;min-width:150px}
.tiles b{display:block;font-size:24px;line-height:1.2;font-weight:600}
.tiles span{color:var(--soft);font-size:13px}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:13px}
.key span{display:inline-flex;align-items:center;gap:7px}
.key i{display:inline-block;width:16px;height:12px;border-radius:2px}
.key .met{background:var(--met)}.key .missed{background:var(--missed)}.key .plain{background:var(--plain)}
.key .tick{width:3px;height:16px;background:var(--ink);border-radius:0}
.key .whisker{height:2px;background:var(--ink);border-radius:0}
.key .one{width:0;height:16px;border-left:1.5px dashed var(--soft);border-radius:0}
figure{margin:20px 0 28px;padding:16px 18px;background:var(--surface);border:1px solid var(--grid);border-radius:8px}
figure p{font-size:13.5px}
.scroll{overflow-x:auto}
svg{display:block;max-width:none}
table{border-collapse:collapse;font-size:13px}
th,td{text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:1px solid var(--grid)}
thead th{color:var(--soft);font-weight:500;white-space:nowrap}
.figure{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.missed td:nth-child(4),tr.missed td:nth-child(8){color:var(--missed);font-weight:600}
.facts{margin:0 0 8px}.facts th{color:var(--soft);font-weight:500;white-space:nowrap}
details{margin:12px 0}summary{cursor:pointer;font-weight:600;padding:6px 0}
@media print{details{display:block}details>*{display:block}}
`;
