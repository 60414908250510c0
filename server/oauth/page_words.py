"""Sentences of the pages of sign-in and approval: English, Chinese."""

from __future__ import annotations

PAGES: dict[str, tuple[str, str]] = {
    "site.about": ("Images and nursing records", "影像与护理数据"),
    "skip": ("Skip to content", "跳到正文"),
    "language": ("Language", "语言"),
    "back": ("Back", "返回"),
    # sign-in
    "sign-in.title": ("Sign in", "登录"),
    "sign-in.for": ("to continue to {app}", "以继续使用 {app}"),
    "sign-in.again": ("Please sign in once more; the app asks for it.", "该应用要求您重新登录。"),
    "sign-in.login": ("User name", "用户名"),
    "sign-in.password": ("Password", "密码"),
    "sign-in.submit": ("Sign in", "登录"),
    "sign-in.help": (
        "No account, or no way in? Your administrator can help.",
        "没有账号或无法登录？请联系管理员。",
    ),
    "sign-in.wrong": ("User name or password is not right.", "用户名或密码不正确。"),
    "sign-in.soon": (
        "Too many attempts. Please wait {wait} and try again.",
        "尝试次数过多，请等待 {wait} 后再试。",
    ),
    "sign-in.over": ("That took too long. Please sign in again.", "操作超时，请重新登录。"),
    "wait.seconds": ("{count} s", "{count} 秒"),
    "wait.minutes": ("{count} min", "{count} 分钟"),
    # second factor
    "factor.title": ("Second step", "第二步验证"),
    "factor.hello": ("Hello {name}. Please show that it is you.", "{name}，您好。请验证您的身份。"),
    "factor.code": ("Code from your app", "身份验证器应用中的验证码"),
    "factor.code.hint": (
        "Six digits from the authenticator app on your phone, new every 30 seconds.",
        "手机应用中显示的 6 位数字，每 30 秒更新。",
    ),
    "factor.check": ("Check", "验证"),
    "factor.key": ("Use your security key or passkey", "使用安全密钥或通行密钥"),
    "factor.recovery": ("Use a recovery code", "使用恢复码"),
    "factor.recovery.label": ("Recovery code", "恢复码"),
    "factor.recovery.hint": ("Each code works once.", "每个恢复码只能使用一次。"),
    "factor.wrong": (
        "That did not work. A code works once; wait for the next one.",
        "验证失败。每个验证码只能使用一次，请等待下一个验证码。",
    ),
    "factor.or": ("or", "或"),
    "factor.failed": (
        "The key did not answer, or the request was cancelled.",
        "安全密钥没有响应，或操作已取消。",
    ),
    # enrolment
    "enrol.title": ("Protect your account", "保护您的账号"),
    "enrol.why": (
        "Your account opens patients' records. A second step keeps others out, even if they learn your password.",
        "您的账号可以查看患者资料。启用第二步验证后，即使密码泄露，他人也无法登录。",
    ),
    "enrol.add": ("Add a second step", "添加第二步验证"),
    "enrol.app": ("Authenticator app", "身份验证器应用"),
    "enrol.app.scan": (
        "Scan this code with an authenticator app on your phone; any will do, Microsoft's or Google's for example.",
        "请用手机上的身份验证器应用扫描此二维码；任何此类应用均可，例如 Microsoft Authenticator。",
    ),
    "enrol.app.qr": ("QR code for your authenticator app", "身份验证器应用的二维码"),
    "enrol.app.secret": ("Cannot scan? Enter a key instead", "无法扫描？请手动输入密钥"),
    "enrol.app.code": ("Then enter the code it shows", "然后输入应用显示的验证码"),
    "enrol.app.submit": ("Turn on", "启用"),
    "enrol.key": ("Security key or passkey", "安全密钥或通行密钥"),
    "enrol.key.about": (
        "A key you plug in or hold near, or the fingerprint or face check of this device.",
        "可插入或靠近的安全密钥，或本设备的指纹、面容识别。",
    ),
    "enrol.key.name": ("A name for it", "为它命名"),
    "enrol.key.name.hint": ("For example: blue key, ward PC", "例如：蓝色密钥、病房电脑"),
    "enrol.key.submit": ("Register", "注册"),
    "enrol.wrong": (
        "That code does not fit. Check the clock of your phone and enter the present code.",
        "验证码不正确。请检查手机时间，并输入当前的验证码。",
    ),
    "enrol.key.wrong": ("The key could not be registered. Please try again.", "无法注册该密钥，请重试。"),
    "codes.title": ("Your recovery codes", "您的恢复码"),
    "codes.why": (
        "Keep them where only you can reach them, on paper for example. "
        "Each lets you in once if your second step is lost. They are not shown again.",
        "请妥善保管，例如打印在纸上。若第二步验证方式丢失，每个恢复码可登录一次。恢复码不会再次显示。",
    ),
    "codes.continue": ("I have kept them: continue", "我已保存，继续"),
    # password
    "password.title": ("Choose a new password", "设置新密码"),
    "password.must": ("Your present password was set by somebody else.", "您当前的密码由他人设置，请更换。"),
    "password.new": ("New password", "新密码"),
    "password.hint": (
        "8 to 128 characters; several words make a good one. Anything may be in it.",
        "8 至 128 个字符，可使用任意字符；由几个词组成更安全。",
    ),
    "password.again": ("The same once more", "再次输入新密码"),
    "password.submit": ("Set password", "设置密码"),
    "password.old": ("Present password", "当前密码"),
    "password.wrong": ("The present password is not right.", "当前密码不正确。"),
    "password.differs": ("The two are not the same.", "两次输入的密码不一致。"),
    "password.short": ("Too short: at least 8 characters.", "密码太短：至少 8 个字符。"),
    "password.long": ("Too long: at most 128 characters.", "密码太长：最多 128 个字符。"),
    "password.common": (
        "Everybody tries this one first. Please choose another.",
        "该密码过于常见，请换一个。",
    ),
    "password.named": ("Too much like your name.", "密码与您的姓名或用户名过于相似。"),
    "password.same": ("This is the present password.", "新密码与当前密码相同。"),
    # patients
    "patients.title": ("Choose a patient", "选择患者"),
    "patients.for": ("{app} will work with this patient's records.", "{app} 将使用该患者的资料。"),
    "patients.search": ("Name, number or date of birth", "姓名、编号或出生日期"),
    "patients.search.hint": ("A date as 1958-03-21", "日期格式：1958-03-21"),
    "patients.submit": ("Search", "搜索"),
    "patients.none": ("Nobody found whom you may see.", "未找到您有权查看的患者。"),
    "patients.many": ("Only the first {count} are shown; please say more.", "仅显示前 {count} 位，请输入更多信息。"),
    "patients.list": ("Patients found", "搜索结果"),
    "patients.born": ("born {date}", "出生于 {date}"),
    "patients.unnamed": ("No name", "无姓名"),
    "sex.male": ("male", "男"),
    "sex.female": ("female", "女"),
    "sex.other": ("other", "其他"),
    "sex.unknown": ("unknown", "未知"),
    # break-glass
    "glass.title": ("Emergency access", "紧急访问"),
    "glass.what": (
        "In an emergency you may see what a patient's consent or privacy rules would otherwise hide.",
        "在紧急情况下，您可以查看因患者知情同意或隐私规则而隐藏的资料。",
    ),
    "glass.audit": (
        "Everything you see is recorded with your name and reason, the privacy officer is told at once, "
        "and access ends after one hour at most.",
        "您的所有访问都会连同姓名和理由一并记录，并立即通知隐私负责人；访问最长一小时后结束。",
    ),
    "glass.reason": ("Reason", "理由"),
    "glass.reason.hint": ("At least 10 characters, without the patient's name.", "至少 10 个字符，请勿填写患者姓名。"),
    "glass.sure": ("This is an emergency and I need these records.", "这是紧急情况，我确需查看这些资料。"),
    "glass.submit": ("Open emergency access", "启用紧急访问"),
    "glass.wrong": (
        "Please say why, in at least 10 characters, and confirm.",
        "请用至少 10 个字符说明理由并确认。",
    ),
    "glass.not": ("Your role has no emergency access.", "您的角色没有紧急访问权限。"),
    # what a consent closes
    "closed.title": ("Not permitted", "不允许访问"),
    "closed.text": (
        "This app cannot be given access: the consent in force does not permit it for this purpose.",
        "无法授权该应用：现行的知情同意不允许以此目的访问。",
    ),
    "closed.glass": (
        "Emergency access is not open to you here: the consent in force leaves it to others. "
        "Your attempt has been recorded.",
        "您不能在此使用紧急访问：现行的知情同意仅允许其他人员使用。本次尝试已被记录。",
    ),
    "closed.back": ("Back to {app}", "返回 {app}"),
    "closed.other": ("Choose another patient", "选择其他患者"),
    # errors
    "error.title": ("This did not work", "操作未完成"),
    "error.invalid": ("The request is not one this server understands.", "服务器无法理解该请求。"),
    "error.unauthenticated": ("Please sign in first.", "请先登录。"),
    "error.forbidden": ("This is not open to you.", "您没有此权限。"),
    "error.not-found": ("There is nothing here, or not any more.", "页面不存在或已失效。"),
    "error.busy": ("Too much at once. Please wait a moment.", "请求过多，请稍候。"),
    "error.too-large": ("That is too much to send.", "发送的内容过大。"),
    "error.unavailable": ("The server cannot do this just now.", "服务器暂时无法完成此操作。"),
    "error.fault": ("Something went wrong on our side.", "服务器出现错误。"),
    "error.form": (
        "The form was too old, or did not come from this page. Please go back and try once more.",
        "表单已过期或来源不正确，请返回重试。",
    ),
    "error.app": (
        "The app that sent you here made a request that cannot be met. You were not sent back to it, to be safe.",
        "跳转到此处的应用发出了无法处理的请求。为安全起见，未将您送回该应用。",
    ),
    "error.over": (
        "This sign-in was begun too long ago or is already done. Please start again from the app.",
        "此次登录已过期或已完成，请从应用重新开始。",
    ),
    "error.code": ("For the app's maker: {code}", "供应用开发者参考：{code}"),
    "error.request": ("Request {id}", "请求编号 {id}"),
    "error.home": ("To the start page", "前往首页"),
    # start
    "start.title": ("Records and medical images", "病历与医学影像"),
    "start.about": (
        "This server keeps patients' records and images for apps and devices. Nothing of a patient is shown without "
        "sign-in.",
        "本服务器为应用和设备保存患者资料与医学影像。未经登录，不显示任何患者信息。",
    ),
    "start.account": (
        "On your account page you see which apps act for you, and can stop them.",
        "在账号页面可查看哪些应用代表您访问，并可随时终止。",
    ),
    "start.apps": ("For apps and other systems", "供应用与其他系统"),
    "start.capabilities": ("What it can do", "服务能力说明"),
    "start.smart": ("How apps sign in", "应用登录配置"),
    "out.title": ("You are signed out", "您已退出登录"),
    "out.text": ("On a shared computer, please close this window as well.", "如使用公用电脑，请同时关闭此窗口。"),
    "out.again": ("Sign in again", "重新登录"),
}
