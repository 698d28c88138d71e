// The tokens of ckmap. The input is a stream of bytes, so every character here is one byte and offsets
// are byte offsets; bytes from 0x80 occur only in texts, comments and (as mistakes) UNKNOWN.
// The lexer itself never fails: what it cannot read becomes UNTERMINATED_* or UNKNOWN.
lexer grammar CkmapLexer;

channels { COMMENTS, DOCS }

// Reserved: as names they are quoted.
MIGRATION: 'migration';
USE: 'use';
PARAM: 'param';
LET: 'let';
NAMES: 'names';
RENAME: 'rename';
LAYER: 'layer';
MODULE: 'module';
WITHIN: 'within';
DROP: 'drop';
ONLY: 'only';
INIT: 'init';
TARGET: 'target';
ASSERT: 'assert';
PLACE: 'place';
SHARD: 'shard';
TEST: 'test';
DECIDE: 'decide';
OVERRIDE: 'override';
WHEN: 'when';
WHERE: 'where';
IN: 'in';
EXACTLY: 'exactly';
BECAUSE: 'because';
IF: 'if';
THEN: 'then';
ELSE: 'else';
AND: 'and';
OR: 'or';
NOT: 'not';
TRUE: 'true';
FALSE: 'false';

// Words with a meaning in one place; names everywhere else (rule `word` of the parser).
CKMAP: 'ckmap';
FROM: 'from';
TO: 'to';
WITH: 'with';
CONFIG: 'config';
IS: 'is';
STRICT: 'strict';
ALLOW: 'allow';
MISSING: 'missing';
UNUSED: 'unused';
CAST: 'cast';
MATCH: 'match';
SUFFIX: 'suffix';
SOURCE: 'source';
ERROR: 'error';
ON: 'on';
OVER: 'over';
EQUALS: 'equals';
FOR: 'for';

BIARROW: '<->';
ARROW: '->';
EQ: '==';
NE: '!=';
LE: '<=';
GE: '>=';
LT: '<';
GT: '>';
ASSIGN: '=';
PLUS: '+';
MINUS: '-';
STAR: '*';
FLOOR: '//';
SLASH: '/';
PERCENT: '%';
PIPE: '|';
QUESTION: '?';
COLON: ':';
COMMA: ',';
SEMI: ';';
ELLIPSIS: '...';
RANGE: '..';
DOT: '.';
LPAREN: '(';
RPAREN: ')';
LBRACK: '[';
RBRACK: ']';
LBRACE: '{';
RBRACE: '}';

UNDERSCORE: '_';
IDENT: [A-Za-z_] [A-Za-z0-9_]*;
// A dotted name is one token, so that `a.0.1.weight` holds no number and no keyword.
DOTTED: [A-Za-z_] [A-Za-z0-9_]* ('.' [A-Za-z0-9_]+)+;

INT: [0-9]+;
NUMBER: [0-9]+ '.' [0-9]+ EXPONENT? | [0-9]+ EXPONENT;
VERSION: [0-9]+ '.' [0-9]+ ('.' [0-9]+)+;
fragment EXPONENT: [eE] [+\-]? [0-9]+;

STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '"';
UNTERMINATED_STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '\\'?;
// A regular expression always starts with its anchor; that tells it from a division.
REGEX: '/^' (~[/\\\r\n] | '\\' ~[\r\n])* '/';
UNTERMINATED_REGEX: '/^' (~[/\\\r\n] | '\\' ~[\r\n])* '\\'?;

DOC: '///' ~[\r\n]* -> channel(DOCS);
COMMENT: '#' ~[\r\n]* -> channel(COMMENTS);
SPACE: [ \t\r\n]+ -> skip;

UNKNOWN: [\u0080-\u00ff]+ | . ;
