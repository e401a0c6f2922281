// Messages that mean no good, or hold nothing.

/** Tries everything that HTML can do, and names its file after more of it. */
export const HOSTILE = `Return-Path: <x@example.org>
From: "<img src=x onerror=alert(1)>" <evil@example.org>
To: <hostile@example.org>
Subject: <script>alert('subject')</script> needle
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<html><head><meta http-equiv="refresh" content="0;url=http://outside.example/refresh">
<link rel="stylesheet" href="http://outside.example/sheet.css"><link rel="prefetch" href="//outside.example/prefetch">
<style>@import "http://outside.example/import.css"; body { background: url(http://outside.example/style.png) }</style>
</head><body background="http://outside.example/body.gif" onload="alert('load')">
<script>alert("script"); parent.document.title = "owned";</script><script src="http://outside.example/script.js"></script>
<p style="color: red; background: url('http://outside.example/inline.png')">Dear <b>reader</b></p>
<img src="http://outside.example/pixel.gif" alt="pixel" onerror="alert('img')"><img srcset="//outside.example/set.gif 2x">
<iframe src="http://outside.example/frame"></iframe><object data="http://outside.example/object"></object>
<video src="http://outside.example/video" poster="http://outside.example/poster"></video>
<form action="http://outside.example/form"><input autofocus onfocus="alert('focus')" name="a"><button>Send</button></form>
<svg onload="alert('svg')"><image href="http://outside.example/svg.png"/></svg>
<a href="javascript:alert('link')">run</a> <a href="http://outside.example/visited">visit</a>
</body></html>
--b
Content-Type: text/html; name="evil.html"
Content-Disposition: attachment; filename="evil<b>\\"; x=.html"

<script>alert("file")</script>
--b--
`;

/** Brings a file without bytes. */
export const EMPTY_FILE = `Subject: empty
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Here.
--b
Content-Type: text/plain; name="nothing.txt"
Content-Disposition: attachment; filename="nothing.txt"
Content-Transfer-Encoding: base64

--b--
`;
