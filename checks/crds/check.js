// Reads objects (JSON, a list) from the file of its argument: each is held to the schema of its custom resource, and `objects.ts` is written
// for the compiler, which finds the fields that no schema knows. Prints one line for each problem.
import { readFileSync, writeFileSync } from "node:fs";

const PACKAGES = {
  "argoproj.io": "argo-cd",
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "monitoring.coreos.com": "prometheus-operator",
};

const objects = JSON.parse(readFileSync(process.argv[2], "utf8"));
let types = "";
for (const [index, object] of objects.entries()) {
  const name = `${object.kind}/${object.metadata?.name}`;
  const [group] = object.apiVersion.split("/");
  const path = `@kubernetes-models/${PACKAGES[group]}/${object.apiVersion}/${object.kind}`;
  types += `// ${name}\nimport type { I${object.kind} as T${index} } from "${path}"; export const o${index}: T${index} = ${JSON.stringify(object)};\n`;
  try {
    const { [object.kind]: Model } = await import(path);
    new Model(object).validate();
  } catch (error) {
    console.log(`${name}: ${error.message.split("\n")[0]}`);
  }
}
writeFileSync("objects.ts", types);
