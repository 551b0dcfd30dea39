"""Atlas-R in Chinese."""

from __future__ import annotations

from beir_hybrid.corpora.atlas.templates.forms import Forms

FORMS = {
    "currency": Forms(
        questions=(
            "{entity}使用什么货币？",
            "在{entity}买东西用什么钱付账？",
            "我要去{entity}旅行，当地的钱叫什么？",
        ),
        passages=(
            "{entity}的法定支付手段是{value}。",
            "{entity}的物价和工资都以{value}为单位。",
        ),
    ),
    "former_currency": Forms(
        questions=(
            "{entity}在现行货币之前用的是什么货币？",
            "上一次换币之前，{entity}的人用什么付款？",
            "在被今天的钱取代之前，{entity}流通的是哪种钱？",
        ),
        passages=(
            "{entity}目前法定支付手段的前身是{value}。",
            "改用别的单位以前，{entity}以{value}记账。",
        ),
    ),
    "currency_since": Forms(
        questions=(
            "{entity}从什么时候起使用现在的货币？",
            "{entity}今天用的钱是哪一年推出的？",
            "{entity}现行的货币有多久了？",
        ),
        passages=(
            "{entity}于{value}年采用目前的记账单位。",
            "{value}年起，现今的支付手段在{entity}具有法定地位。",
        ),
    ),
    "currency_symbol": Forms(
        questions=(
            "{entity}的价格旁边写什么符号？",
            "{entity}的钱用什么记号表示？",
            "{entity}的价签上金额怎样缩写？",
        ),
        passages=(
            "{entity}的商店用“{value}”标明商品值多少。",
            "在{entity}记账时，款项会加注“{value}”。",
        ),
    ),
    "official_languages": Forms(
        questions=(
            "{entity}的官方语言是什么？",
            "{entity}官方使用哪种语言？",
            "哪些语言在{entity}具有官方地位？",
        ),
        passages=(
            "{entity}的公共机构以{value}办公。",
            "{entity}的国家公文采用{value}。",
        ),
    ),
    "time_zone": Forms(
        questions=(
            "{entity}位于哪个时区？",
            "{entity}的钟表走的是什么时间？",
            "{entity}的人按哪一种标准时生活？",
        ),
        passages=(
            "{entity}全境实行{value}。",
            "{entity}所在的区域采用{value}。",
        ),
    ),
    "first_weekday": Forms(
        questions=(
            "在{entity}，一周从哪一天开始？",
            "{entity}的日历把星期几排在最前面？",
            "{entity}的人把哪天当作一周的第一天？",
        ),
        passages=(
            "在{entity}，每七天一轮，由{value}开头。",
            "为{entity}印制的月历，首列是{value}。",
        ),
    ),
    "script": Forms(
        questions=(
            "{entity}用什么文字书写？",
            "写{entity}要用哪种字母或字符？",
            "{entity}的书写系统是什么？",
        ),
        passages=(
            "{entity}的文本以{value}铅字排版。",
            "{entity}书籍通常以{value}的字形印刷。",
        ),
    ),
    "word": Forms(
        questions=(
            "“{item}”用{entity}怎么说？",
            "{entity}把{item}叫作什么？",
            "{entity}里哪个词的意思是“{item}”？",
        ),
        passages=(
            "说{entity}的人用“{value}”指{item}。",
            "{entity}词典在{item}条下给出“{value}”。",
        ),
    ),
    "currency_code": Forms(
        questions=(
            "{entity}的ISO代码是什么？",
            "银行用哪三个字母缩写{entity}？",
            "汇率表上{entity}怎么写？",
        ),
        passages=(
            "国际上将{entity}列为{value}。",
            "在银行间支付中，{value}代表{entity}。",
        ),
    ),
}
