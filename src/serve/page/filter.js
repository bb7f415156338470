// The words of a filter: all must hold. `name=value`, `name!=value`, `name>1`, `name<1`, `>=`, `<=`; any other word must be in the row.

const TERM = /^([^\s=<>!]+)(!=|>=|<=|=|>|<)(.*)$/;

const TESTS = {
  "=": (value, wanted) => same(value, wanted),
  "!=": (value, wanted) => !same(value, wanted),
  ">": (value, wanted) => value > wanted,
  "<": (value, wanted) => value < wanted,
  ">=": (value, wanted) => value >= wanted,
  "<=": (value, wanted) => value <= wanted,
};

const isNumber = (text) => text.trim() !== "" && !Number.isNaN(Number(text));
const same = (value, wanted) => typeof value === "number" ? value === Number(wanted) : String(value).toLowerCase() === String(wanted).toLowerCase();

// Returns { test(row), wrong }. A column is named in full, or by its last part where only one ends so.
export const filter = (text, columns, words) => {
  const tests = [], wrong = [];
  for (const term of text.split(/\s+/).filter(Boolean)) {
    const [, name, sign, wanted] = term.match(TERM) || [];
    if (name === undefined) {
      const word = term.toLowerCase();
      tests.push((row) => words(row).includes(word));
      continue;
    }
    const exact = columns.filter((column) => column.title === name || column.key === name);
    const ends = exact.length > 0 ? exact : columns.filter((column) => column.title.endsWith(`.${name}`));
    if (ends.length === 0) wrong.push(`no column is called ${name}`);
    else if (ends.length > 1) wrong.push(`${name} may be ${ends.map((column) => column.title).join(" or ")}`);
    else if (sign.length > 0 && /[<>]/.test(sign) && !isNumber(wanted)) wrong.push(`${name}${sign} needs a number`);
    else if (ends[0].unit === "fraction" && Number(wanted) > 1) wrong.push(`${name} is a fraction: write 0.5 for 50 %`);
    else {
      const [column] = ends, value = /[<>]/.test(sign) ? Number(wanted) : wanted;
      tests.push((row) => {
        const own = column.value(row);
        return own !== undefined && own !== null && (!/[<>]/.test(sign) || typeof own === "number") && TESTS[sign](own, value);
      });
    }
  }
  return { test: (row) => tests.every((test) => test(row)), wrong: wrong.join("; ") };
};
