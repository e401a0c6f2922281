// What a stranger's HTML may still do after it was made safe: nothing but look like something.

import { describe, expect, test } from "vitest";
import { safeHtml, textOfHtml } from "../src/html.ts";

const NO_PICTURES = new Map<string, never>();
const PIXEL = { type: "image/png", bytes: new Uint8Array([0x89, 0x50, 0x4e, 0x47]) };

describe("safe HTML", () => {
  test.each([
    ["a script", "<p>a<script>alert(1)</script>b</p>", "<p>ab</p>"],
    ["a script in pieces", "<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)"],
    ["an event handler", '<p onclick="x()" onmouseover=y()>a</p>', "<p>a</p>"],
    ["an event handler without quotes after a slash", "<p/onclick=x()>a</p>", "<p>a</p>"],
    ["a style sheet", "<style>@import url(//x.example/a.css)</style><p>a</p>", "<p>a</p>"],
    [
      "frames, forms and objects",
      "<iframe src=//x></iframe><form action=//x><input value=1><button>go</button></form><object data=//x></object><embed src=//x>",
      "go",
    ],
    [
      "drawings that can run",
      "<svg><a xlink:href=javascript:x><circle></svg><math><mi>x</math>",
      '<a target="_blank" rel="noopener noreferrer nofollow"></a>x',
    ],
    [
      "document tags",
      '<html><head><title>t</title><base href="//x/"><meta http-equiv=refresh content="0;url=//x"><link rel=stylesheet href=//x></head><body background=//x>a</body></html>',
      "a",
    ],
    ["comments", "<!--[if IE]><script>x</script><![endif]-->a", "a"],
  ])("drops %s", (_what, given, safe) => {
    expect(safeHtml(given, NO_PICTURES).html).toBe(safe);
  });

  test.each([
    "javascript:x()",
    " java\nscript:x()",
    "&#106;avascript:x()",
    "vbscript:x",
    "data:text/html,<script>x</script>",
    "file:///etc/passwd",
  ])("a link to %j leads nowhere", (href) => {
    expect(safeHtml(`<a href="${href}">a</a>`, NO_PICTURES).html).not.toContain("href");
  });

  test("a link opens elsewhere and tells nothing of here", () => {
    expect(safeHtml('<a href="https://x.example/" target="_top" rel="opener">a</a>', NO_PICTURES).html).toBe(
      '<a href="https://x.example/" target="_blank" rel="noopener noreferrer nofollow">a</a>',
    );
  });

  test.each([
    ["url()", "color:red;background:url(https://x.example/p)"],
    ["url() in a property that is allowed", "color:red;background-color:url(//x.example)"],
    ["url() written with escapes", String.raw`color:red;border:u\72l(//x.example)`],
    ["url() in a comment's shadow", "color:red;width:/**/url(//x.example)"],
    ["expression()", "color:red;width:expression(alert(1))"],
    ["placing over the page", "color:red;position:fixed;top:0"],
    ["behaviours", "color:red;behavior:url(x.htc);-moz-binding:url(x)"],
  ])("of a style only the harmless part stays: %s", (_what, style) => {
    expect(safeHtml(`<p style="${style}">a</p>`, NO_PICTURES).html).toBe('<p style="color:red">a</p>');
  });

  test("a style keeps what lays out a message", () => {
    const style = "color:rgb(1, 2, 3);font-family:'Open Sans', Arial;width:50%;margin:0 auto !important";
    expect(safeHtml(`<p style="${style}">a</p>`, NO_PICTURES).html).toContain("rgb(1, 2, 3)");
  });

  test("things from elsewhere are left out and counted, whatever wanted them", () => {
    const wanted = [
      '<img src="http://x.example/1.gif" alt="a picture">',
      "<img src=//x.example/2.gif>",
      '<img srcset="https://x.example/3.gif 2x">',
      "<table background=http://x.example/4.gif><td background=http://x.example/5.gif></table>",
      '<p style="background:URL(http://x.example/6.gif)">a</p>',
      "<link rel=stylesheet href=http://x.example/7.css>",
      "<video poster=http://x.example/8.jpg></video>",
    ].join("");
    const { html, blocked } = safeHtml(wanted, NO_PICTURES);
    expect(blocked).toBe(8);
    expect(html).not.toContain("x.example");
    expect(html).toContain("[a picture]");
  });

  test("a picture that came with the message is shown, any other source is not", () => {
    const pictures = new Map([
      ["logo@x", PIXEL],
      ["drawing@x", { ...PIXEL, type: "image/svg+xml" }],
    ]);
    const { html, blocked } = safeHtml(
      '<img src="cid:logo%40x" alt=l><img src="cid:drawing@x"><img src="cid:none"><img src="data:image/png;base64,AAAA">',
      pictures,
    );
    expect(html).toBe('<img src="data:image/png;base64,iVBORw==" alt="l" /><span></span><span></span><span></span>');
    expect(blocked).toBe(0);
  });

  test("what is too long is cut, and says so", () => {
    expect(safeHtml("<p>a</p>", NO_PICTURES).cut).toBe(false);
    expect(safeHtml(`<p>${"a".repeat(3_000_000)}`, NO_PICTURES)).toMatchObject({ cut: true });
  });
});

describe("the text of HTML", () => {
  test.each([
    ["words of one block stay together", "<p>fo<b>o</b> <i>bar</i></p>", "foo bar"],
    ["blocks stand on lines of their own", "<h1>a</h1><p>b<br>c</p><table><tr><td>d<td>e</table>", "a\nb\nc\nd\ne"],
    ["entities are letters", "a &amp; b &lt;c&gt; &eacute;&#8364;&nbsp;d", "a & b <c> \u00e9\u20ac d"],
    ["what only looks like a tag is text", "1 &lt; 2 &amp;lt; 3", "1 < 2 &lt; 3"],
    ["what is not seen is not there", "<title>t</title><style>s</style><script>x</script>a<!-- c -->", "a"],
    ["nothing", "", ""],
  ])("%s", (_what, given, text) => {
    expect(textOfHtml(given)).toBe(text);
  });
});
