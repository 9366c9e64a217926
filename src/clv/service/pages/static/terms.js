// The terms of a campaign as people write them: numbers, and what is wrong with them in words.
"use strict";

window.clv.terms = (() => {
  const form = document.getElementById("ask");

  /** A number as people write it, with a currency or a percent sign; NaN if it is none. */
  function number(name) {
    const text = form.elements[name].value.normalize("NFKC").replace(/[\s%'’\p{Sc}]/gu, "").replace(/^[a-z]{3}|[a-z]{3}$/i, "");
    if (/^\d{1,3}([.,])\d{3}(\1\d{3})+$/.test(text)) return Number(text.replace(/[.,]/g, "")); // 1,234,567
    if (isUnclear(text)) return Number.NaN;
    const grouped = /^(\d{1,3}(?:,\d{3})+)\.(\d*)$|^(\d{1,3}(?:\.\d{3})+),(\d*)$/.exec(text); // 1,234.50 or 1.234,50
    const plain = grouped ? `${(grouped[1] ?? grouped[3]).replace(/[.,]/g, "")}.${grouped[2] ?? grouped[4]}` : text.replace(",", ".");
    return /^\d+(\.\d*)?$|^\.\d+$/.test(plain) ? Number(plain) : Number.NaN;
  }

  /** Whether it may be a thousand and more, or a number with three decimals: 1,234. */
  const isUnclear = (text) => /^[1-9]\d{0,2},\d{3}$/.test(text.replace(/[^\d.,]/g, ""));
  const isEmpty = (name) => form.elements[name].value.trim() === "";
  const within = (name, low, high) => number(name) >= low && number(name) <= high;

  /** What is wrong with the terms, by field, in the unit that was typed. */
  function wrongTerms() {
    const wrong = [];
    const say = (field, message) => {
      const { value } = form.elements[field];
      wrong.push({ field, message: isUnclear(value) ? `${value} can mean two numbers. Enter it without a comma.` : message });
    };
    if (isEmpty("margin")) say("margin", "Enter what you keep of every 100 a passenger spends.");
    else if (!within("margin", 0.01, 100)) say("margin", "Enter a percentage from 0.01 to 100.");
    if (isEmpty("cost")) say("cost", "Enter what you pay per targeted passenger; 0 if it costs nothing.");
    else if (!within("cost", 0, 1e6)) say("cost", "Enter an amount from 0 to 1,000,000.");
    if (!isEmpty("lift") && !within("lift", 0.01, 1_000)) say("lift", "Enter a percentage from 0.01 to 1,000, or leave it empty.");
    return wrong;
  }

  const share = (name) => Number((number(name) / 100).toPrecision(12));

  return { isEmpty, number, share, wrong: wrongTerms };
})();
