// What is wrong with a page for people who cannot see it well, use no mouse, or have a narrow screen: a sentence for each
// fault, and none for a good page. The numbers are those of WCAG 2.2 AA.
(() => {
  const faults = [];
  const fault = (element, text) => faults.push(`${element.outerHTML.slice(0, 120)}: ${text}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const drawn = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";

  const root = document.documentElement;
  if (root.lang !== "en") fault(root, "has no language");
  if (!document.title.trim()) fault(root, "has no title");
  if (root.scrollWidth > innerWidth) fault(root, `is ${root.scrollWidth} wide in a window of ${innerWidth}`);
  for (const landmark of ["main", "header", "h1"])
    if (all(landmark).length !== 1) fault(root, `has ${all(landmark).length} of ${landmark}`);

  let level = 0;
  for (const heading of all("h1,h2,h3,h4,h5,h6")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) fault(heading, `comes after a heading of level ${level}`);
    if (!heading.textContent.trim()) fault(heading, "is empty");
    level = own;
  }

  const ids = all("[id]").map((element) => element.id);
  for (const element of all("[id]")) if (ids.filter((id) => id === element.id).length > 1) fault(element, "has an id twice");
  for (const image of all("img")) if (!image.hasAttribute("alt")) fault(image, "has no alternative");
  for (const cell of all("th")) if (!cell.scope) fault(cell, "says not what it heads");
  for (const field of all("input:not([type=hidden]), select, textarea"))
    if (![...(field.labels || [])].some((label) => label.textContent.trim())) fault(field, "has no label");
  for (const control of all("a[href], button, summary")) {
    if (!control.textContent.trim() && !control.getAttribute("aria-label")) fault(control, "has no name");
    if (control.tabIndex < 0) fault(control, "cannot be reached by the keyboard");
  }
  for (const control of all("button, a.button, input:not([type=hidden]), select")) {
    const box = control.getBoundingClientRect();
    if (drawn(control) && (box.width < 24 || box.height < 24)) fault(control, `is ${box.width} by ${box.height} small`);
  }

  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.a === 1) return found;
      if (found.a > 0) fault(at, "lets what is behind it shine through");
    }
    return { r: 255, g: 255, b: 255 };
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !drawn(element) || element.closest("option")) continue;
    texts++;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const ratio = contrast(colour(style.color), ground(element));
    if (ratio < needed) fault(element, `has a contrast of ${ratio.toFixed(2)}, ${needed} are needed`);
    const range = document.createRange();
    range.selectNodeContents(node);
    if (range.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".skip, thead")) fault(element, "is beyond the edge");
  }
  for (const field of all("input:not([type=hidden]), select")) {
    const edge = contrast(colour(getComputedStyle(field).borderTopColor), ground(field.parentElement));
    if (edge < 3) fault(field, `has an edge of contrast ${edge.toFixed(2)}, 3 are needed`);
  }
  if (texts < 5) fault(root, `shows ${texts} texts`);
  return faults;
})()
