"""Bringing what people type into one spelling before it is compared with anything."""

import re
import unicodedata
from typing import Final

_NOISE: Final = re.compile(r"[\s\W_]+")
_SPACES: Final = re.compile(r"[\s\W_]+")
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")

# The traditional characters that this conversation meets; a full converter would be a library for forty words.
_TRADITIONAL: Final = str.maketrans(
    "簽積優領會員註冊訂單級碼幫餘額還麼個資數據刪銷號綁關聯購買紀錄過點請問嗎為沒賬帳費錢換機電話門開營業時間樣裡裏動禮發給"
    "訊見謝輸說這現從來對應該廣擾導載隱權戶體驗證兌獎勵價張幾當變務覽頁訴態壞錯誤復繼續連報歷條則規記鑽銀長進遠運轉認識讓"
    "東綠無處書訪閱聽寫絡網頻聞稱獲賺攢質貨鋪誰兩與實賣蓋齊靈藍頭隊龍麗將專屬蘋顯掃導攬舊遺憑據參與麻煩樓嘆別後設選擇確經檢測試視觀預約庫內項類舉",
    "签积优领会员注册订单级码帮余额还么个资数据删销号绑关联购买纪录过点请问吗为没账账费钱换机电话门开营业时间样里里动礼发给"
    "讯见谢输说这现从来对应该广扰导载隐权户体验证兑奖励价张几当变务览页诉态坏错误复继续连报历条则规记钻银长进远运转认识让"
    "东绿无处书访阅听写络网频闻称获赚攒质货铺谁两与实卖盖齐灵蓝头队龙丽将专属苹显扫导揽旧遗凭据参与麻烦楼叹别后设选择确经检测试视观预约库内项类举",
)
_PARTICLES: Final = re.compile(r"(?<!干)嘛|[呢吗啊呀吧哦啦哟喔诶欸噢咯哇]")
_POLITE: Final = re.compile(
    r"^(请问一下|请问|问一下|问下|麻烦你?|帮我|帮忙|我想要|我想问|我想|我要|我来|给我|能不能|可不可以|可以|小惠|亲|请|来个?|去)+"
)
_SOFT_END: Final = re.compile(r"(一下下?|下|谢谢)$")
_POLITE_ENGLISH: Final = re.compile(
    r"^((please|pls|hi|hello|hey|can|could|you|i|want|to|would|like|show|me|my|the|a) )+"
)


def is_chinese(text: str) -> bool:
    """True when a Chinese character occurs."""
    return _CHINESE.search(text) is not None


def folded(text: str) -> str:
    """Half-width, lower case, simplified."""
    return unicodedata.normalize("NFKC", text).lower().translate(_TRADITIONAL)


def squeezed(text: str) -> str:
    """`folded` without spaces, punctuation and emoji: what exact commands are compared in."""
    return _NOISE.sub("", folded(text))


def plain(text: str) -> str:
    """`squeezed` without particles."""
    return _PARTICLES.sub("", squeezed(text))


def bare(text: str) -> str:
    """`plain` without the words of politeness around it: 「请问一下签到」 → 「签到」."""
    return _SOFT_END.sub("", _POLITE.sub("", plain(text)))


def worded(text: str) -> str:
    """English words with single spaces between them."""
    return _SPACES.sub(" ", folded(text).replace("'", "").replace("’", "")).strip()


def bare_words(text: str) -> str:
    """`worded` without polite beginnings: "please show me my points" → "points"."""
    return _POLITE_ENGLISH.sub("", worded(text) + " ").strip().removesuffix(" please")
