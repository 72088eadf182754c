"""Names of people, in lower case: the most frequent ones of the United States.

They are facts of the public domain, typed from the frequency tables of the Census Bureau. A
deployment adds its own by the setting `pii_names_file`.
"""

from __future__ import annotations

from pathlib import Path

from adaptery.errors import InvalidInputError

#: Characters of a file of names, and words of one name.
FILE_CHARACTERS = 4 * 1024 * 1024
NAME_WORDS = 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FIRST_NAMES = _words(
    """
    aaron abigail ada adam addison adrian adrienne agnes ahmed aiden aisha alan albert alberta
    alberto alex alexander alexandra alexis alfred alfredo ali alice alicia alison allan allen
    allison alma alvin alyssa amanda amber amelia amit amy ana andre andrea andrew andy angel angela
    angelica angelina angie anita ann anna anne annette annie anthony antoinette antonia antonio
    april arlene armando arnold arthur ashley aubrey audrey austin ava avery barbara barry beatrice
    becky belinda bella ben benjamin bernadette bernard bernice bertha bessie beth bethany betsy
    betty beulah beverly bill billie billy blake blanca blanche bob bobbie bobby bonnie brad bradley
    brandi brandon brenda brent brett brian bridget brittany brooke bruce bryan byron caleb calvin
    cameron camille candace candice carl carla carlos carmen carol carole caroline carolyn carrie
    carter casey cassandra catherine cathy cecelia cecil cecilia celia chad charlene charles charlie
    charlotte chelsea cheryl chester chloe chris christian christie christina christine christopher
    christy cindy claire clara clarence claude claudia clayton clifford clifton clinton clyde cody
    colleen colton connie connor constance cora corey cory courtney craig cristina crystal curtis
    cynthia daisy dale dan dana daniel danielle danny darla darlene darrell darren darryl daryl dave
    david dawn dean deanna debbie deborah debra delia della delores denise dennis derek derrick
    desiree diana diane dianna dianne dixie dolores dominic don donald donna dora doreen doris
    dorothy douglas duane dustin dwayne dwight dylan earl ebony eddie edgar edith edna eduardo
    edward edwin eileen elaine eleanor elena elijah elisa elizabeth ella ellen elmer eloise elsa
    elsie elvira emily emma enrique eric erica erik erika erin erma ernest ernestine essie estelle
    esther ethan ethel eugene eula eunice eva evan evelyn everett faith fannie fatima faye felicia
    felix fernando flora florence floyd frances francis francisco frank franklin fred freda freddie
    frederick gabriel gail gary gavin gayle gene geneva genevieve george georgia gerald geraldine
    gertrude gilbert gina ginger gladys glen glenda glenn gloria gordon grace greg gregory gretchen
    guadalupe guy gwen gwendolyn hannah harold harper harriet harry harvey hassan hattie hazel
    heather hector heidi helen henrietta henry herbert herman hilda hiroshi holly hope howard hugh
    hunter ian ibrahim ida inez irene iris irma isaac isabel isabella isaiah ivan jack jackie
    jackson jacob jacqueline jacquelyn jaime james jamie jan jana jane janet janice janie janis
    jared jasmine jason javier jaxon jay jean jeanette jeanne jeannette jeannie jeff jeffery jeffrey
    jenna jennie jennifer jenny jeremy jerome jerry jesse jessica jessie jesus jill jim jimmie jimmy
    jo joan joann joanna joanne jodi jody joe joel johanna john johnnie johnny jon jonathan jordan
    jorge jose josefina joseph josephine joshua joy joyce juan juana juanita judith judy julia
    julian julie julio june justin kara karen kari karl karla kate katherine kathleen kathryn kathy
    katie katrina kay kayla keith kelley kelli kellie kelly ken kendra kenneth kent kerry kevin kim
    kimberly kirk krista kristen kristi kristie kristin kristina kristine kristy krystal kurt kyle
    lana lance landon larry latoya laura lauren laurie laverne lawrence leah lee leigh lela lena leo
    leon leona leonard leroy leslie lester leticia lewis liam lila lillian lillie linda lindsay
    lindsey lisa lloyd logan lois lola lonnie lora lorena lorene loretta lori lorraine louis louise
    lucas lucia lucille lucy luis luke lula luz lydia lynda lynette lynn lynne mabel mable madeline
    madison mae maggie mamie mandy manuel marc marcella marcia marcus margaret margarita margie
    marguerite maria marian marianne marie marilyn mario marion marjorie mark marlene marsha
    marshall marta martha martin marvin mary maryann mason mathew matthew mattie maureen maurice max
    maxine may megan meghan mei melanie melba melinda melissa melody melvin mercedes meredith mia
    michael micheal michele michelle miguel mike mildred milton mindy minnie miranda miriam misty
    mitchell mohammed molly mona monica monique morris muhammad muriel myra myrtle nadine nancy
    naomi natalie natasha nathan nathaniel neil nellie nelson nettie nicholas nichole nicole nina
    noah nora norma norman olga olive oliver olivia ollie omar opal ora oscar owen pam pamela pat
    patricia patrick patsy patti patty paul paula paulette pauline pearl pedro peggy penny perry
    peter philip phillip phyllis priscilla priya rachael rachel rafael raj ralph ramon ramona
    randall randy raquel raul ray raymond rebecca regina reginald rene renee rhonda ricardo richard
    rick ricky rita robert roberta roberto robin robyn rochelle rodney roger roland ron ronald
    ronnie rosa rosalie rose rosemarie rosemary rosie ross roxanne roy ruben ruby russell ruth ryan
    sabrina sadie sally salvador sam samantha samuel sandra sandy sara sarah savannah scott sean
    sergio seth shane shannon shari sharon shawn shawna sheila shelia shelley shelly sheri sherri
    sherry sheryl shirley sidney silvia sonia sonja sonya sophia sophie stacey stacy stanley stella
    stephanie stephen steve steven sue susan susie suzanne sylvia tabitha tamara tami tammy tanya
    tara tasha ted teresa teri terrance terrence terri terry thelma theodore theresa thomas tiffany
    tim timothy tina todd tom tommy toni tony tonya tracey traci tracy travis tricia troy tyler
    tyrone valerie vanessa velma vera verna vernon veronica vicki vickie vicky victor victoria
    vincent viola violet virgil virginia vivian wade wallace walter wanda warren wayne wei wendy
    wesley whitney willard william will willie wilma winifred wyatt xavier yolanda
    yvette yvonne zachary
    zoe
    """
)

LAST_NAMES = _words(
    """
    abbott adams adkins aguilar ahmed alexander ali allen allison alvarado alvarez anderson andrews
    armstrong arnold atkins austin bailey baker baldwin ball ballard banks barber barker barnes
    barnett barrett barton bass bates beck becker bell bennett benson berry bishop black blair blake
    boone bowen bowers bowman boyd bradley brady brewer bridges briggs brock brooks brown bryan
    bryant buchanan burgess burke burns burton bush butler byrd cain caldwell campbell cannon
    carlson carpenter carr carroll carson carter casey castillo castro chambers chandler chapman
    chavez chen christensen clark clarke clayton cobb cohen cole coleman collier collins colon
    conner cook cooper copeland cortez cox craig crawford cross cruz cummings cunningham curry
    curtis daniel daniels davidson davis dawson day dean delgado diaz dixon douglas doyle drake
    duncan dunn edwards elliott ellis erickson estrada evans farmer ferguson fernandez fields
    figueroa fisher fitzgerald fleming fletcher flores flowers floyd ford foster fowler fox francis
    frank franklin frazier freeman french fuller garcia gardner garner garrett garza george gibbs
    gibson gilbert gill glover gomez gonzales gonzalez goodman goodwin gordon graham grant graves
    gray green greene greer gregory griffin griffith gross guerrero gupta gutierrez guzman hale hall
    hamilton hammond hampton hansen hanson hardy harmon harper harrington harris harrison hart
    harvey hawkins hayes haynes henderson henry hernandez herrera hicks higgins hill hills hines
    hodges hoffman hogan holland holloway holmes holt hopkins horton houston howard howell huang
    hubbard hudson huff hughes hunt hunter ingram jackson jacobs james jefferson jenkins jennings
    jensen jimenez johnson johnston jones jordan joseph keller kelley kelly kennedy khan kim king
    klein knight kumar lamb lambert lane larson lawrence lawson lee leonard lewis li lindsey little
    liu lloyd logan long lopez love lowe lucas luna lynch lyons mack maldonado malone mann manning
    marsh marshall martin martinez mason massey mathis matthews maxwell mcbride mccarthy mccormick
    mccoy mcdaniel mcdonald mcgee mcguire mckenzie mckinney mclaughlin medina mendez mendoza meyer
    miles miller mills mitchell montgomery moody moore morales moran moreno morgan morris morrison
    morton moss mullins munoz murphy murray myers nash neal nelson newman newton nguyen nichols
    norman norris norton nunez obrien oliver olson ortega ortiz osborne owen owens padilla page
    palmer park parker parks parsons patel patrick patterson patton paul payne pearson pena perez
    perkins perry peters peterson phelps phillips pierce pittman poole pope porter potter powell
    powers pratt price quinn ramirez ramos ramsey ray reed reese reeves reid reyes reynolds rhodes
    rice richards richardson riley rios rivera robbins roberson roberts robertson robinson rodgers
    rodriguez rodriquez rogers romero rose ross rowe roy ruiz russell ryan salazar sanchez sanders
    sandoval santiago santos saunders schmidt schneider schultz schwartz scott shah sharp shaw
    shelton sherman silva simmons simon simpson sims singh singleton smith snyder soto sparks
    spencer stanley steele stephens stevens stevenson stewart stokes stone strickland sullivan
    summers sutton swanson tate taylor thomas thompson thornton torres townsend tran tucker turner
    tyler underwood valdez vargas vasquez vaughn vega wade wagner walker wallace walsh walters
    walton wang ward warner warren washington waters watkins watson watts weaver webb weber webster
    welch wells west wheeler white wilkerson wilkins williams williamson willis wilson wise wolfe
    wong wood woods wright wu yang yates young zhang zimmerman
    """
)

#: Names that are words of everyday English: they count only beside another name, or after a title.
COMMON_WORDS = _words(
    """
    ali amber angel april austin avery ball banks barber bass bell berry bill bishop black blake
    blanca boone bridges brooke brooks brown burns bush butler byrd cain cannon carol carpenter carr
    carson carter chad chandler chelsea christian clayton cobb cody cole coleman collier colon cook
    cooper cox cross crystal curry curtis daisy dale dana dawn day dean della dixie don dora drake
    earl ebony essie faith farmer faye fields fisher flora florence flowers ford foster fox frank
    franklin freeman french gardner gene geneva georgia ginger glen grace grant graves gray green
    greene greer gross guadalupe guy hale hall hardy harper hart hazel heather hill hills hogan
    holland holly hope houston hudson huff hunt hunter inez iris jackson jan jasmine jay jean
    jefferson jo jordan joy june kay kent king kirk knight lamb lance lane lee leo li little logan
    long love lowe luna luz mack madison mae mandy mann manning marc mark marsh marshall mason max
    maxwell may mccoy melody mercedes mia miles mills misty mona moody moran morris morton moss
    myrtle nash neal newton norman olive opal ora page palmer park parker parks parsons pat patsy
    patty pearl penny perry pierce poole pope porter potter powers pratt price quinn ramsey randy
    ray reed reese regina reid rice robin rose rosemary ross rowe ruby salvador sandy santiago
    santos savannah sharp shaw shelly sherry sims singleton sparks spencer steele stokes stone sue
    summers tate tiffany torres townsend tran tucker underwood vaughn vega vera vernon victor viola
    violet virginia wade walker wallace wang ward warner warren washington waters watts wayne weaver
    webb webster wells west wheeler white will wise wolfe wong wood woods wright wu yang young
    """
)


def read_names(path: Path) -> frozenset[str]:
    """Return the names in a file, one a line, in lower case with single spaces.

    Raises:
        InvalidInputError: the file is too large, no UTF-8, or a name has too many words.
        OSError: it cannot be read.
    """
    if path.stat().st_size > FILE_CHARACTERS:
        raise InvalidInputError(f"The file of names is larger than {FILE_CHARACTERS} bytes.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidInputError("The file of names is not UTF-8.") from None
    names = [line.lower().split() for line in lines if line.strip() and line[0] != "#"]
    if any(len(name) > NAME_WORDS for name in names):
        raise InvalidInputError(
            f"A name in the file of names has more than {NAME_WORDS} words.",
            hint="Write one name a line.",
        )
    return frozenset(" ".join(name) for name in names)
