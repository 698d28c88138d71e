// The colours: tokens of the TextMate grammar, with the engine that VS Code itself uses.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const oniguruma = require('vscode-oniguruma');
const textmate = require('vscode-textmate');

const root = path.join(__dirname, '..');
const repository = path.join(root, '..', '..');

async function load() {
  const wasm = fs.readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm'));
  await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (sources) => new oniguruma.OnigScanner(sources),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async (scope) => {
      const file = path.join(root, 'syntaxes', 'ckmap.tmLanguage.json');
      return scope === 'source.ckmap' ? textmate.parseRawGrammar(fs.readFileSync(file, 'utf8'), file) : null;
    },
  });
  return registry.loadGrammar('source.ckmap');
}

const loaded = load();

// [text, innermost scope] of every token that is not white space.
async function tokens(text) {
  const grammar = await loaded;
  const found = [];
  let state = textmate.INITIAL;
  for (const line of text.split('\n')) {
    const result = grammar.tokenizeLine(line, state);
    state = result.ruleStack;
    for (const token of result.tokens) {
      const part = line.slice(token.startIndex, token.endIndex);
      if (part.trim()) found.push([part, token.scopes[token.scopes.length - 1]]);
    }
  }
  return found;
}

async function expect(text, ...wanted) {
  const found = await tokens(text);
  for (const [part, scope] of wanted) {
    assert.ok(found.some(([a, b]) => a.trim() === part && b.startsWith(scope)),
      `${part} is not ${scope}:\n${JSON.stringify(found, null, 1)}`);
  }
}

test('the edition and the migration', () => expect(
  'ckmap 1;\nmigration a2b from pytorch to mindspore;',
  ['ckmap', 'keyword.control.edition'], ['1', 'constant.numeric'], ['a2b', 'entity.name.function'],
  ['pytorch', 'support.type.framework'], [';', 'punctuation.terminator']));

test('comments and documentation', () => expect(
  '/// Says what.\nrename a -> b;  # why "this"',
  ['/// Says what.', 'comment.line.documentation'], ['# why "this"', 'comment.line.number-sign'],
  ['rename', 'keyword.declaration'], ['->', 'keyword.operator.arrow']));

test('captures of every kind', () => expect(
  '"h.{n:int}.{p:path}.{t:weight|bias}.{e:int...}.{x:/[a-z]+/}.{k}" -> "b.{2*n+1}.{q,k,v}.*.**";',
  ['n', 'variable.parameter.capture'], ['int', 'storage.type.capture'], ['path', 'storage.type.capture'],
  ['weight|bias', 'string.unquoted.choice'], ['...', 'keyword.operator.gather'], ['[a-z]+', 'string.regexp'],
  ['k', 'variable.parameter.capture'], ['q,k,v', 'string.unquoted.alternatives'], ['2', 'constant.numeric'],
  ['**', 'keyword.operator.wildcard']));

test('doubled braces are no holes', () => expect('drop "a{{b}}";', ['{{', 'constant.character.escape']));

test('shapes and operations', () => expect(
  'w [3 * D, _, ...] | split(axis=0, parts=3) | transpose() <-> "{q,k,v}" [D, D] exactly "the order";',
  ['D', 'variable.other.size'], ['_', 'constant.language.any'], ['split', 'support.function.operation'],
  ['axis', 'variable.parameter.argument'], ['|', 'keyword.operator.pipe'], ['<->', 'keyword.operator.arrow'],
  ['exactly', 'keyword.control.clause'], ['the order', 'string.quoted.double.reason']));

test('parameters, values and conditions', () => expect(
  'param heads: int from config "num_heads" = 8;\nlet Q = heads * 2;\n"a" -> "b" when not target_has("c") and heads >= 2;',
  ['heads', 'variable.other.parameter'], ['int', 'storage.type'], ['Q', 'variable.other.constant'],
  ['when', 'keyword.control.clause'], ['not', 'keyword.operator.logical'], ['target_has', 'support.function'],
  ['>=', 'keyword.operator.comparison']));

test('layers and targets', () => expect(
  'layer norm when target_rank(weight) == 2 { weight? [C] <-> gamma; }\ntarget { cast bf16 -> f32; allow missing "x"; }',
  ['norm', 'entity.name.class.layer'], ['?', 'keyword.operator.optional'], ['bf16', 'storage.type.dtype'],
  ['allow', 'keyword.other'], ['target', 'keyword.declaration']));

test('a whole-name regular expression', () => expect(
  '/^module\\.(?P<rest>.*)$/ -> "{rest}";', ['\\.', 'constant.character.escape'], ['rest', 'variable.parameter.capture']));

test('a text without its end does not colour the next line', () => expect(
  'rename "a -> b;\nrename c -> d;', ['rename', 'keyword.declaration']).then(async () => {
  const found = await tokens('rename "a -> b;\nrename c -> d;');
  assert.deepStrictEqual(found.filter(([part]) => part === 'rename').length, 2);
}));

test('keywords inside of dotted names are names', () => expect(
  'model.layer.target.weight -> a.b;', ['model.layer.target.weight', 'string.unquoted.name']));

// The grammar is written by hand: it must know every word of the real one.
test('every reserved word of the lexer is a keyword', async () => {
  const lexer = fs.readFileSync(path.join(repository, 'grammar', 'CkmapLexer.g4'), 'utf8');
  const reserved = lexer.slice(lexer.indexOf('// Reserved'), lexer.indexOf('// Words with a meaning'));
  const words = [...reserved.matchAll(/^[A-Z]+: '(\w+)';/gm)].map((match) => match[1]);
  assert.ok(words.length > 25);
  for (const word of words) {
    const [[, scope]] = (await tokens(`${word} x`)).filter(([part]) => part.trim() === word);
    assert.match(scope, /^(keyword|constant\.language)/, word);
  }
});

test('every pack is coloured without rests', async () => {
  const rules = path.join(repository, 'rules');
  let files = 0;
  for (const pack of fs.readdirSync(rules)) {
    if (!fs.statSync(path.join(rules, pack)).isDirectory()) continue;
    for (const file of fs.readdirSync(path.join(rules, pack)).filter((name) => name.endsWith('.ckmap'))) {
      files++;
      const found = await tokens(fs.readFileSync(path.join(rules, pack, file), 'utf8'));
      const plain = found.filter(([, scope]) => scope === 'source.ckmap').map(([part]) => part.trim());
      // Bare names of one segment, brackets and commas have no colour.
      for (const part of plain) assert.match(part, /^[\w\s(){},:.]+$/, `${pack}/${file}: ${part}`);
    }
  }
  assert.ok(files > 20);
});
