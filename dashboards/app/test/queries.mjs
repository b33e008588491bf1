// Queries of the dashboards, held against Grafana's own grammars. Standard input is a list of {place, source, query}; a line for each fault.
import { parser as logql } from '@grafana/lezer-logql';
import { parser as traceql } from '@grafana/lezer-traceql';

let text = '';
for await (const piece of process.stdin) {
  text += piece;
}
for (const { place, source, query } of JSON.parse(text)) {
  const parser = source === 'tempo' ? traceql : logql;
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) {
        console.log(`${place}: at ${node.from} of ${query}`);
      }
    },
  });
}
