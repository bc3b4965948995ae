// The page of failure codes: the same text as in the docs, made from the same table.
import { useLocation } from "@tanstack/react-router";
import { useEffect } from "react";
import source from "../../../docs/reference/failures.md?raw";
import { Heading } from "../ui/heading";
import { Table } from "../ui/parts";

/** Rows of a Markdown table, cell by cell; a pipe after a backslash is part of its cell. */
export const rowsOf = (text: string): string[][] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.slice(2, line.lastIndexOf("|")).split(/\s(?<!\\)\|\s/).map((cell) => cell.trim()));

const ROWS = rowsOf(source);

/** Text in which what stands between backquotes is code. */
function Prose({ children }: { children: string }) {
  return children.split("`").map((part, at) => (at % 2 === 1 ? <code key={`${at}${part}`}>{part}</code> : part));
}

export function FailureCodes() {
  const { hash } = useLocation();
  useEffect(() => document.getElementById(hash)?.scrollIntoView(), [hash]);
  return (
    <>
      <Heading title="Failure codes" />
      <Table caption="Failure codes" head={["Code", "Retried", "What to do"]}>
        {ROWS.map(([code = "", retried = "", hint = ""]) => {
          const name = code.replaceAll("`", "");
          return (
            <tr key={name} id={name} className={name === hash ? "meant" : ""}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>{retried}</td>
              <td>
                <Prose>{hint}</Prose>
              </td>
            </tr>
          );
        })}
      </Table>
    </>
  );
}
