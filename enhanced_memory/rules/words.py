import re
def _s(x): return frozenset(x.split())
EXPANDED={}
for who in "i you we they he she it that there here what who where how this these those".split():
    for tail,full in (("'m","am"),("'re","are"),("'ve","have"),("'ll","will"),("'d","would"),("'s","is")):
        EXPANDED[who+tail]=[who,full]
EXPANDED.update({"let's":["let","us"],"lets":["let","us"],"can't":["can","not"],"cannot":["can","not"],"won't":["will","not"],"shan't":["shall","not"],
 "gonna":["going","to"],"wanna":["want","to"],"gotta":["have","to"],"im":["i","am"],"ive":["i","have"],"i'd":["i","would"],"dont":["do","not"],"doesnt":["does","not"],"didnt":["did","not"],"cant":["can","not"],"wont":["will","not"],"isnt":["is","not"]})
def expand(x):
    if x.endswith("n't"): return [x[:-3],"not"]
    if x.endswith("'s"): return [x[:-2]]
    return [x]
OPENERS=_s("thanks thank thx wow yeah yep yes yup no nope nah oh ah haha hah lol hey hi hello well so and but also ok okay sure right absolutely definitely totally exactly indeed actually anyway hmm um btw please great awesome amazing nice cool congrats congratulations aw aww man dude gosh honestly basically plus then now by the way true agreed perfect good")-_s("now no the good right so")|_s("so")
THANKS=_s("thanks thank thx congrats congratulations")
PRAISE=_s("great awesome amazing wonderful fantastic nice good cool lovely beautiful incredible impressive inspiring sweet fun perfect brilliant best super really glad happy proud sorry thanks thank wow welcome luck totally definitely absolutely sure thing things lot lots way amazed stuff bit kind")
BEFORE_VERB=_s("just really also recently finally still never always have had has even actually ever usually often sometimes normally mostly currently already not do did will probably definitely totally honestly truly so all both only")
ADVERBS=_s("just really also recently still always even actually so very truly totally not been pretty quite super too")
MENTAL=_s("think thought know knew guess hope mean meant believe feel agree wonder suppose bet appreciate understand understood see hear heard imagine wish thank admire promise admit say said can could would might may should must shall try check let get love like want need am")
FEELINGS=_s("glad happy sorry proud sure excited thrilled grateful thankful impressed amazed stuck confused afraid lucky curious wondering trying getting here there with in")
POSSESSIVES=_s("my our mine ours myself ourselves")
SECOND=_s("you your yours yourself u ur")
CALENDAR=_s("monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december")
TIMES=CALENDAR-{"may","march"}|_s("yesterday today tonight tomorrow ago last next recently lately since week weekend month year years months weeks days weekends mornings morning evening afternoon night summer winter spring autumn fall soon once daily weekly monthly nightly mondays tuesdays wednesdays thursdays fridays saturdays sundays quarter christmas")
NUMBERS=_s("two three four five six seven eight nine ten eleven twelve dozen hundred thousand second third couple")
IRREGULAR=_s("was were had did went got came took made saw found gave told felt became left began brought kept held stood heard met ran paid sat spoke led grew lost fell sent built understood drew broke spent drove bought wore chose ate threw caught won forgot slept sang flew taught hid swam rode rose sold shook woke wrote beat hurt dug hung stuck struck swept swore tore froze fed fought bit blew bound dealt fled knew thought said meant shot lit rang sank stole wept wound began quit")
NOT_PAST=_s("need speed feed seed weed exceed hundred bored tired excited interested amazed impressed inspired blessed relaxed concerned indeed")
def is_past(x): return x in IRREGULAR or (len(x)>4 and x.endswith("ed") and x not in NOT_PAST)
HYPOTHETICAL=_s("would could might if maybe perhaps wish hopefully may suppose imagine")
TROUBLE=_s("error errors exception bug bugs crash crashes crashed crashing fails failed failing fail broken stuck help question traceback typeerror red wrong missing")
POINTING=_s("that it this those these there here sounds looks seems")
STANDING=_s("always never")
NEGATIONS=_s("not never no without avoid stop none nothing nor neither dislike hate stopped")
QUESTION=re.compile(r"(?:what|why|how|when|where|who|which|whose) (?:is|are|was|were|do|does|did|can|could|should|would|will|am|the|about|if|many|much|long|likely|else|wrote|would)\b|(?:do|does|did|is|are|was|were|can|could|will|would|should|has|have|may|am) (?:i|you|we|they|he|she|it|this|that|there|the|anyone|your|my)\b")
STATE=re.compile(r"(?:(?:the|our|all|every|each|my|his|her|their) )?(?:\w+ ){1,4}?(?:is|are|uses?|runs?|lives?|requires?|needs?|supports?|has|goes?|happens?|belongs?|owns?|handles?|expects?|depends?|talks?|starts?|ends?|costs?|stores?|works?)\b")
_RULES=[
 ("rule",3,re.compile(r"(?:please )?(?:(?:always|never|avoid|ensure|only)\b|do not(?! (?:worry|forget|know|think|mind|understand|see|get|need|hesitate|bother|care|like|want|have|believe|remember|be)\b)|make sure|be sure|stop \w+ing|no (?!problem|worries|way|idea|need|rush|one|thanks|doubt|the|it|i|that|this)\w+|from now on|going forward)")),
 ("rule",3,re.compile(r".*\b(?:(?:we|you|all|every|each|they|the|it|remember|should|must|to) (?:\w+ ){0,3}?(?:always|never)|from now on|must (?:not |never |always )?be|should (?:not |never |always )?(?:be|start|end|contain)|before (?:every|each|any|you)|whenever)\b")),
 ("decision",3,re.compile(r".*\b(?:(?:have |has )?(?:decided|chosen|agreed|settled|opted|voted) (?:to|on|for|that)|(?:i|we|team) (?:have )?(?:decided|chose|chosen|agreed|settled|opted|switched|moved|migrated) |no longer|going with|go with|stick with|(?:switch|switching|switched) (?:to|from)|changed my mind|instead of|let us use|approved|final decision|stopped \w+ing|are dropping)\b")),
 ("decision",3,re.compile(r"use \w+(?: \w+)? (?:not|instead|rather|over)\b")),
 ("preference",3,re.compile(r".*\b(?:prefer|prefers|preferred|favou?rite|would rather|(?:i|we) (?:\w+ )?(?:love|like|hate|enjoy|dislike)|fan of|can not stand|into|do not (?:really )?(?:like|care for))\b")),
 ("requirement",2.5,re.compile(r".*\b(?:(?:needs?|has|have) to|must|requires?|required|requirement|deadline|budget|we need|may not|can not use)\b")),
 ("identity",1,re.compile(r"(?:i am|my name|call me|i live|i work (?:for|at|in|as)|i have (?!to\b)|my \w+ is|we are|i speak|i studied|i grew)\b")),
 ("plan",1,re.compile(r".*\b(?:going to|plan(?:s|ning)? to|will|planning|next (?:week|month|year)|scheduled|intend|hoping to|my goal|want to)\b")),
 ("usage",1,re.compile(r".*\b(?:use|uses|using|used|deploy|deploys|run|runs|host|written in|built (?:on|with)|stored|live in|lives in)\b")),
]
def kind_of(said,have,personal,past):
    for k,p,r in _RULES:
        if r.match(said): return k,p
    return ("event" if past else "identity"),0
