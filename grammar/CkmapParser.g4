// The syntax of ckmap. What this grammar lets pass and the language does not (where a statement may stand,
// operations on the right side of a rule, clauses given twice) is checked where the tree is built
// (compiler/syntax/ast_builder), which can say what is wrong in better words.
parser grammar CkmapParser;

options { tokenVocab = CkmapLexer; }

file: list+=statement* EOF;

statement
  : edition | migration | use | param | let | names | rename | layer | moduleIs | within
  | drop | only | init | target | assertion | place | shard | decide | test | namedSources | mapping
  ;

edition: CKMAP value=INT SEMI;
migration: MIGRATION name=word FROM source=word TO destination=word SEMI;

use: USE (path=packPath | quoted=STRING) (GE minimum=version)? (WITH option=word prefix=STRING)? (WITH with=arguments)?
     (EXACTLY reason=STRING)? SEMI;
packPath: packPart (SLASH packPart)*;
packPart: (word | keyword | DOTTED | INT) (MINUS (word | keyword | DOTTED | INT))*;
version: INT | NUMBER | VERSION;

// Checkpoints beside the source, whose tensors have names `adapter:…`.
namedSources: SOURCE list+=namedSource (COMMA list+=namedSource)* SEMI;
namedSource: name=word optional=QUESTION?;

param: PARAM name=word COLON type=word (FROM CONFIG key=STRING)? (ASSIGN value=expr)? SEMI;
let: LET name=word ASSIGN value=expr SEMI;
names: NAMES separator=STRING ARROW replacement=STRING SEMI;

rename: RENAME side=TARGET? (single=renamePair | open=LBRACE list+=renamePair* close=RBRACE);
renamePair: left=pattern ARROW right=pattern SEMI;

layer: LAYER name=word (WHEN condition=expr)? open=LBRACE list+=statement* close=RBRACE;
moduleIs: MODULE name=pattern IS kind=dottedWord (WHEN condition=expr)? SEMI;
within: WITHIN left=pattern arrow right=pattern (WHEN condition=expr)? (EXACTLY reason=STRING)?
        open=LBRACE list+=statement* close=RBRACE;

drop: DROP name=pattern list+=dropClause* SEMI;
dropClause: WHEN condition=expr | EQUALS value=expr | BECAUSE reason=STRING;
only: ONLY name=pattern SEMI;
init: INIT name=pattern ASSIGN kind=word values=arguments? (WHEN condition=expr)? SEMI;

target: TARGET open=LBRACE list+=targetItem* close=RBRACE;
targetItem
  : kind=STRICT words+=strictWord (COMMA words+=strictWord)* SEMI
  | kind=ALLOW what=(MISSING | UNUSED) name=pattern SEMI
  | kind=CAST source=word ARROW destination=word (IN name=pattern)? (option=word ASSIGN value=word)? SEMI
  | kind=MATCH SUFFIX SEMI
  ;
strictWord: word | NAMES;

assertion: ASSERT condition=expr message=STRING? SEMI;
place: PLACE name=pattern ON device=STRING (WHEN condition=expr)? SEMI;
shard: SHARD name=pattern option=word ASSIGN axis=expr OVER group=word (WHEN condition=expr)? SEMI;

decide: DECIDE question=STRING (kind=(FOR | MISSING | UNUSED) list+=pattern (COMMA list+=pattern)*)? SEMI;

test: TEST name=STRING (WITH values=arguments)? open=LBRACE list+=testItem* close=RBRACE;
testItem: side=testSide | kind=ERROR code=word name=pattern? SEMI;
testSide: kind=(SOURCE | TARGET) open=LBRACE list+=testTensor* close=RBRACE;
testTensor: name=pattern dtype=word? dims=shape? (ASSIGN value=expr (WITHIN tolerance=expr)?)? SEMI;

// `-> source "name"`: what comes out is not a tensor of the target; other statements find it in the source.
mapping: overrides=OVERRIDE? source=pipeline arrow derives=SOURCE? destination=pipeline list+=mappingClause* SEMI;
arrow: ARROW | BIARROW;
mappingClause
  : kind=WHEN condition=expr
  | kind=WHERE ranges+=range (COMMA ranges+=range)*
  | kind=EXACTLY reason=STRING
  ;
range: name=word IN first=expr RANGE last=expr;

pipeline: terms+=term (COMMA terms+=term)* (PIPE ops+=operation)*;
term: (name=pattern | open=LPAREN inner=pipeline close=RPAREN) dims=shape?;
operation: name=word values=arguments?;
pattern: (plain=dottedWord | quoted=STRING | regex=REGEX) optional=QUESTION?;

shape: LBRACK (list+=dim (COMMA list+=dim)* COMMA?)? RBRACK;
dim: any=UNDERSCORE | rest=ELLIPSIS | value=expr;

arguments: LPAREN (list+=argument (COMMA list+=argument)* COMMA?)? RPAREN;
argument: (name=word ASSIGN)? value=expr;

// Tightest first.
expr
  : function=word LPAREN (args+=argument (COMMA args+=argument)* COMMA?)? RPAREN
  | name=dottedWord
  | literal=(INT | NUMBER | STRING | TRUE | FALSE)
  | open=LPAREN inner=expr RPAREN
  | list=LBRACK (items+=expr (COMMA items+=expr)* COMMA?)? RBRACK
  | op=MINUS operand=expr
  | left=expr op=(STAR | SLASH | FLOOR | PERCENT) right=expr
  | left=expr op=(PLUS | MINUS) right=expr
  | left=expr op=(EQ | NE | LT | LE | GT | GE) right=expr
  | op=NOT operand=expr
  | left=expr op=AND right=expr
  | left=expr op=OR right=expr
  | op=IF condition=expr THEN yes=expr ELSE no=expr
  ;

dottedWord: word | DOTTED;
word
  : IDENT | CKMAP | FROM | TO | WITH | CONFIG | IS | STRICT | ALLOW | MISSING | UNUSED | CAST | MATCH
  | SUFFIX | SOURCE | ERROR | ON | OVER | EQUALS | FOR
  ;
keyword
  : MIGRATION | USE | PARAM | LET | NAMES | RENAME | LAYER | MODULE | WITHIN | DROP | ONLY | INIT | TARGET
  | ASSERT | PLACE | SHARD | DECIDE | TEST | OVERRIDE | WHEN | WHERE | IN | EXACTLY | BECAUSE | IF | THEN | ELSE
  | AND | OR | NOT | TRUE | FALSE
  ;
