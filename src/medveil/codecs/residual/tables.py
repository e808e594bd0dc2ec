"""Tables of the residual coder: weights of its network and the laws of its distributions. Formats state them in full.

The weights were trained on the `train` fold of the shared chest radiographs (sources nih, kermany, hannover; the
pictures of the diagnostic codes of both protections), see tools/train_residual.py.
"""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.varints import read_varint

FIRST, SECOND = 32, 16
"""Units of the two hidden layers."""
REACH = 31
"""Symbols stand for -31 … 31 steps around the centre; one more is the escape."""
SCALES = 48
"""Scales 2**(k / 8 - 4), k = 0 … 47, in steps of a symbol."""
RATIOS = (
    581260615, 686215099, 799036310, 918726429, 1044178424, 1174220339, 1307656790, 1443305845,
    1580030169, 1716761896, 1852521207, 1986428948, 2117713904, 2245715466, 2369882518, 2489769347,
    2605029347, 2715407188, 2820730047, 2920898384, 3015876649, 3105684222, 3190386796, 3270088366,
    3344923893, 3415052718, 3480652712, 3541915165, 3599040369, 3652233859, 3701703250, 3747655612,
    3790295335, 3829822416, 3866431115, 3900308936, 3931635878, 3960583919, 3987316692, 4011989318,
    4034748382, 4055731996, 4075069962, 4092883986, 4109287957, 4124388246, 4138284039, 4151067684,
)  # fmt: skip
"""round(2**32 exp(-1 / (8 s))) for the scales s = 2**(k / 8 - 4), k = 0 … 47."""
_WEIGHTS = (
    "sRoDzLGlB~1&RdY1(gA>0n`Yq1CIlq38n*y1xt+vf&|3`bCd*jx&aNA1)%{Q`vK$zlLeOptOJ|^DOg}Gg97*gIfDVk2nB`$*aMye=L4n#>H(_)"
    "6}JIj;{j-C(E^GGMZE&20r&*c1l<J?qyY?Wi~$)5C`Q@>BA)?-0Y#+&FH$3d0gV9?2o^pzn*{(Sp#kav&jGFifdLv;O<_(52~8~<9dj7c0UJvi"
    "0YVOF6J1H90t+4}(E-K*!2*;4RKEg+0pS7f0{a48b=(4EjRCO&p9jDNw*i0x+5wmWdzAr`0WjzRjsd;`5rYD`0=EOR0)z<f0>1*L1epV?0^I?s"
    "3Qzt4;{&V#ExiVK-Uh${#RF5&2DJpz1i%4_0!Og~-2`Bc1)v1F29E^S1m*&V0u9#$*aYDL!~&BDs0F_P9kBwT1FHhb0`~!c1N{b>2-^a;0T}ND"
    "5QYb0Ae;fi1A_>(2(|&$0+Isa0-plJ0Y>lv(*ySfZ9NLg1BC^V1U_$+2J8aV2!jLz%msN{H9hqLTC4-N1Iqy>c@_yB`~&I%mI2@aj{yN1xdGq<"
    "g#w@foB`|sfdh~N7;Aw6FB)G5paIzdr2>Zn#R3K*vjIwO+ycP|PLu)q0p0<H0gnRP1pfgDg92qH?gBR<xdEa9Fs}n&*#hDMj0Ls_zX9$78>#{F"
    "0geHm1+4@30jUDa1>gcEhXjHKrUD`er2)(Yv;++60nh@a0+9md2FC%!0n-6Lfe7;hGw}fiHb9dD4}Ql1AK(Jz0j~nQ1d;<TzyXv2{{f8%57+_f"
    "0mK1Sw*x$t0T=TDvILj~69z|LhXEll66^tCrU3^D9bYhO1xrye9iIXSFEj#J7Ni0#A}4dM0TfEl1kwS1A=d$;0WVIV0t!S2MfU+_Ja$GJE2{wu"
    "PN)GSFT?|1J~s|X@&=v(K8*pH0&7p&1K9(030;i>3gZGP&;gbKx&a}21JD5p<N+m=0yGX5J^_>huK_?ZV#NWK0Y5Kr25#a3h5@DlK-U2e8Bi7_"
    "rvW$l0uQeQJ5>l!1G@x_0loo8g#pz8Cv=hmA2cp~jRIO0Tvk&Ne+gbxG6Kp2Zyq@tJe&rm0XLfgl>>Ef)&t)IfdLbz0mA`8r2-{f&H-319x%88"
    "3XlSI_5nf{r2$4Flmm$YLS{_i0R=l7Y6xJ=0X#|`e_aa>WJ}Wl8-oKN?*j^l0fPZS8}I|b0b<kv8Y+wdkpY+k=>d)be(V8<1Ec~5ivfcH3m<0+"
    "a=`(E0>1&J0vc?(0Z4AJ0-pygiUD4{0iOYj0=ER)0RYbdUycF(0t_9k0TxiF0}r7Bq5_x&{sxr-!UB1@0pI}!g$11hY0Cn@2DStA0kH(K2DkzP"
    "0zcFOjsymy0g3{M1A_vJ2gw1J0bw2A2fqU+y8#wDm;s*z8Kwcr0ciXJkpj&Ewgj{S28IDLr2(Y}9j*bI0wf970#sQ~ivrvO>;xkvw*gau0UJaB"
    "gaSj90XP={O)eW0OTPg-J;?%jCpRDv0D=MpMqMVv0V`!VA0#mmCq07!0oDNtIxZA`1t=lc0VT)+BqB$P0+a!h0-^zm0gVGEivghm;{tJk0gwSW"
    "Z>s|T2G9hn0iXeFx&rwDl>v_dPFkb^r~)6U0fz#S1I+@C2%`ec0)heM0*eEa0lEq#xB`a(%mEFt1~B>tdglU1f(7>k`UBzt`2mIl&ja@aTABr("
    "1f&L=1eXQA0iObZ1Mvjz1D^uu0)YvJ1eXFG=>h2j=K;S0%K^{<kp{~M`2ni|3A+RL0^9~{J|_PG;Rm1zPO$;<0ce{7)B!r00*eFV1tJB40mK8n"
    "1%U)GCx!-s0k{b10u|l_@B&#+L&XCkh6BR`NhM^20R$c&DJ2vq0|zE09Sa{hfB}9K2n-bwJ_BwG5;GkQT30^~0SX>&Up58<3so`%3PKzS5p@I)"
    "5CCHoDis_pKt(7(OAIL@?g2b|iUC<~B^fPL)d2$lBuzrc1PKlWi~^4Vssg|QO@#pjGOq%H0tIvH21KF*jsuDV?*g0xqypgqivfG90h<9%_5-5="
    "k_REh0@VTN1gr#+2K5Hk18lSciv;`w!v&)PnE}oQ=K`ez>InV=p9NXJ2H*qj1i1mW1U`-d6r=^e0U6l>)&`9Q!vmfKi2<+yPSyd511fpg0Sg<K"
    "0l@<p3m<_2CqM}d7Yuy70-gai9O4032qUin2nc;bYdiuNR}vCf3lJ|#BMmh`6fY`DHY5jBKpO=c5E}s`Ar}(~35Ed)92gH9001drb_^LHYX>eH"
    "A{`771sofK0Wcg66d)at0R%k_L{$_p2R$wr3LbR;6Cgg90UZ<_NC<Eg5gH3ZG=l>{BuFYt5DpM82s~XM%mF|R5EDEA7Y>sFNKQGN0zwc1MPvjf"
    "Dm!m7PnH3y0g3`QeghSKG7+l+mH`R_6jzG^J%ItR12IoftN~0KlLCHevH^<$D6s)}1d9P|jRAlNmH`AC5Sal8QyIqrIY=C(0R%4$59a}a0j&Wt"
    "YR&-^C_Qqs0e)Hz&;tUG0T7%511=OM6(uMVZ59;-A;|%IG8Pab4jB|Z5D5ZKfdLXC1YQLbCISE#I4m<300J`?F*gqma03f26K5I}Hnsr_10Vt}"
    "At)6x2`LE-Bqt*?Q$buu7CsnDJ}PtvIZhP|S12eNEe!%~E+z{g9~25DJ_!{9J0uhU2$BIK2^<EC0vje5MMMM=8)TsZ6%8UP5HCI(4^Ac-I8qKN"
    "+W{aCbypcUh5;f1GZg{~MJa6=E(#C>45R@JL@XE@J}fUY6fX}X)d3qB5l&Mk6&?srK_dwt0T&AyAzCFMU^pWSC@&6U8@&P>TOKVq4io@A*#V{j"
    "4=xo95J3zyD;XnR3MEztP#G{pP8TH@2|N=z2u2QL1_uHaDHcdD78nE)BOot<0Rll87jP6-BMLYfCm{`01{W9@4h%d7epLqtDL5P{2S-R9MKTQ%"
    "2mx0(6B3RH!2<IJ(*YpK0a@4x@d3*LI>87NcRuJ3j|VE80x{?U&<>3Prvm5)cQ%;=zXnS@eXIrb0rLZg1j_=10TAj1zyziOW}gXx0(6G~^adY$"
    "Ka~No0f+_s0gD9c0tm4J5Fu!LGVTV&0qF>f1cn1a2Eqor2FC$~0@Vd(2T0xun*qQ9;sY{$lnmDb%LK#)L4yH~0qFr}Ob@{Y{sYYe>H<1`fB}^P"
    "fC20SvH?cS0SLwcX`BH(=LNt4Jg5V(0T_`4&;hOiY9J}T0W`w_o&hX83I`!^3=BeGRRa=l8xxNK7zbVuGQR;D!wd>A6dM(WuK|Z~?#BfAl>wIv"
    "yCM4~tkwdFqXG40x1j-!+62{`0mTNj1=d#2SkDWTJJ1Y=AL31)`vKn80)|WJ7QMm*vlE@f0n8`4EVUWM0-gb&0lNXt0bT|YHVbvQ19SNT>jKgO"
    "eq@#b`~iako&xy+JgEj-60HF@6COE5Cs!|u0i*#zQ9#oHY=r}Hl>$B<WM0Psi~{!o$Ogj$$N|?8DER>kx(NCL`2+U_rU8lrXyOB-0Y#YsQfjaS"
    "p#i}Gssb>7Ju(GMj{}DTsR9Zs*#h|inE_ho1Z#@~zyam~U9JML1?vNs1giopi39+@0lEQ$1QD+X-T@6&F46+t1Cs*)BU@Gl%LCg3lmUzZ`T@iN"
    "3t(>d0(Y$fa$JoAtpb4p`~vI&Jh1@{U4{X*0lNVk{sBOS0fzyf0mlO|@d6AHPCYS~1egMs0`~$(l?H|a7-HuF{Q(D#0@nf>FgA_@mI51Uk^yh3"
    "0`&tZ5S{_F0S;429ftxUH!Ix%J}n=~0geKX459*#0jB}(0ha^g1Cs+89)$y=0jUA#0g(iy0pSE%W({&!;Q`qJ<pV&41JnYM0nP!H0_Xwj11paL"
    "^8&L1_5ld21Y=@!mIKNGBY43Az5)jh3_Yj;(*d*toB_N6x&h+^fd=6Lv;z7A&I5@8aQ*_c0a(WYVVDHm0onn&0`UTe0iFVGg9RSq0hIyR0f7PE"
    "0fz!uf&q&G^#UMfvjY&r0aC~Tu>qn1;R3w^l>?CiB+UXtl>veS$piEPu>y8DrUHrq1GNEd!~|?MaE}7C1fl_=1ib|Yodmi9s{?9~0>lAiMuq{U"
    "0}QeOhyt_%+5tcVp#dlch60}ft^pNiIQaqc0&klF-3x#LcHsd+I0_C^7)+4?R%s670aA|v(gctJy91d6S+D_j!~*XD&jELz0)zvG1DgZS1&jfP"
    "0gM6xg#*O`@Bw-%fC140mjOn#0fPdB0oek6*8`XWumkD=t^qgH1Rz*w(gOvq1pNZ+0kQ+i0fYjn0ejv7cGv-o0&nF5r~%;ti35%Sew6~40X5_S"
    "2!Aqa`UCv|S7zq}@&VWZCVYwk9jOAB0n`C-J<b8s0uoV2zXV&516RlcxdV*^tp(o!k^!Fq8;JrWZBd~HET{rCrULT=(F3ys2^{kQ?E$R;Th9bb"
    "&jo-2|Jn@Qz6GJT27&$u=tY|Q0r#2&k<tSElL`GrvYiZ~Re?jf{{xEB1F4z;fdLDC0el}}2!9!334;L<0&*IAQ2{i=0cikI4tN0v=K?_-rW}*X"
    "1hxWEOdkR~Xhse;VMYW2W(x=i2?Qi1OcM<UR6uqI3Jf{y0agSB1rj1E00aaI5)TR*9t9FU>;Z5$1O"
)


def weights() -> NDArray[np.int64]:
    """All weights in the order of `residual_model.Network`: varints of 2 w, or -2 w - 1 if w < 0, in base 85."""
    data, at, values = base64.b85decode(_WEIGHTS), 0, []
    while at < len(data):
        value, at = read_varint(data, at)
        values.append(value >> 1 ^ -(value & 1))
    return np.array(values, np.int64)
